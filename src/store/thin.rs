//! Keeps fewer points of old drains and watches.

use rusqlite::{Transaction, params};

/// Keeps every fourth point, and the last, of the drains and watches that ended before a time; of at most `limit` of each.
/// Returns how many it thinned out. A record is thinned out once.
pub(super) fn thin(transaction: &Transaction<'_>, before: &str, limit: usize) -> rusqlite::Result<u64> {
    let mut thinned = 0;
    for (table, points) in [("drains", "$.curve"), ("watches", "$.series")] {
        let fewer = format!(
            "UPDATE {table} SET thinned = 1, json = json_set(json, '{points}', json((
                 SELECT json_group_array(json(value)) FROM json_each({table}.json, '{points}')
                 WHERE key % 4 = 0 OR key = json_array_length({table}.json, '{points}') - 1)))
             WHERE id IN (SELECT id FROM {table} WHERE thinned = 0 AND ended < ?1 ORDER BY ended LIMIT ?2)"
        );
        thinned += transaction.execute(&fewer, params![before, limit])? as u64;
    }
    Ok(thinned)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::farm::{BakeSettings, Counts, HoldId, RunId, Span};
    use crate::plan::Curve;
    use crate::plan::watch::{Counted, Figures, Verdict, WatchSeries};
    use crate::state::{Change, DrainOutcome, DrainRecord, Transaction, WatchRecord};
    use crate::store::{DrainQuery, Keep, SqliteStore, Store as _};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn drain() -> DrainRecord {
        let mut curve = Curve::default();
        (0..32).for_each(|point| curve.add(point * 100, 40 - point));
        DrainRecord {
            hold: HoldId(1),
            run: Some(RunId(1)),
            farm: Some("web".parse().unwrap()),
            group: None,
            members: Vec::new(),
            began: at(0),
            ended: at(4),
            outcome: DrainOutcome::Empty,
            left: 0,
            curve,
        }
    }

    fn watch() -> WatchRecord {
        let mut series = WatchSeries::default();
        for look in 0..30 {
            let counts = Counts { requests: look * 7, ..Counts::default() };
            series.add(look * 200, &Figures { new: Counted { counts, ..Counted::default() }, ..Figures::default() });
        }
        WatchRecord {
            run: RunId(1),
            farm: "web".parse().unwrap(),
            step: 5,
            version: None,
            new: Vec::new(),
            old: Vec::new(),
            began: at(0),
            ended: at(6),
            concurrent: false,
            settings: BakeSettings::without_comparison(Span::from_secs(60)),
            verdict: Verdict::NoWorse,
            text: String::new(),
            series,
        }
    }

    #[test]
    fn old_drains_and_watches_keep_every_fourth_point_and_the_last() {
        let store = SqliteStore::in_memory().unwrap();
        let changes = vec![Change::AddDrain(Box::new(drain())), Change::AddWatch(Box::new(watch()))];
        store.commit(&Transaction { expect: 1, changes, ..Transaction::default() }).unwrap();
        let keep = |points| {
            let never = Timestamp::MIN;
            Keep { runs: never, events: never, hook_output: never, points, size: u64::MAX }
        };
        assert!(store.prune(&keep(at(0)), 10, None).unwrap().is_empty(), "they are not old yet");
        assert_eq!(store.prune(&keep(at(60)), 10, None).unwrap().thinned, 2);
        assert!(store.prune(&keep(at(60)), 10, None).unwrap().is_empty(), "once is enough");
        let drains = store.drains(&DrainQuery::OfRun(RunId(1))).unwrap();
        let points = drains[0].curve.points();
        assert_eq!((points.len(), points[0], points[1], points[8]), (9, (0, 40), (400, 36), (3100, 9)));
        let watches = store.watches(RunId(1)).unwrap();
        let points = watches[0].series.points();
        assert_eq!((points.len(), points[1].new.requests, points[8].new.requests), (9, 28, 29 * 7));
        assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
    }
}
