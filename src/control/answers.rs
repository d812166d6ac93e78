//! Answers to readers: worked out on the threads of readers, sent piece by piece, and counted until they are sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};

use super::desk::{Reader, Window};
use super::problem::Failure;
use crate::engine::Engine;

/// Waits for a reader's turn, and answers.
pub(super) async fn read<A, F>(engine: Arc<Engine>, reader: &Reader, at: Window, ask: A) -> Result<Response, Failure>
where
    A: FnOnce(Arc<Engine>) -> F + Send + 'static,
    F: Future<Output: IntoResponse> + Send + 'static,
{
    let turn = reader.turn(at).await.map_err(Failure::full)?;
    let asked = Arc::clone(&engine);
    // The turn goes with the work: whoever goes away before its end has it until then.
    let answered = async move { (ask(asked).await.into_response(), turn) };
    let (answer, turn) = engine.for_reader(answered).await?;
    Ok(until_sent(answer, turn, Some(in_time(at))))
}

/// Keeps what an answer takes up until it is sent, or until it `ends` before.
pub(super) fn until_sent(answer: Response, place: impl Send + Unpin + 'static, ends: Option<Ends>) -> Response {
    answer.map(|body| Body::new(Held { body, rest: Bytes::new(), ends, _place: place }))
}

/// Ready when an answer ends before it is sent; with an error, where its reader is to know that something is missing.
pub(super) type Ends = Pin<Box<dyn Future<Output = Option<io::Error>> + Send>>;

/// When this has not been taken for too long.
fn in_time(at: Window) -> Ends {
    Box::pin(async move {
        tokio::time::sleep(at.sent_within()).await;
        Some(io::ErrorKind::TimedOut.into())
    })
}

/// A body that is sent piece by piece, so that whoever has not taken it still has their place.
struct Held<P> {
    body: Body,
    rest: Bytes,
    ends: Option<Ends>,
    _place: P,
}

impl<P: Unpin> HttpBody for Held<P> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(Poll::Ready(end)) = self.ends.as_mut().map(|ends| ends.as_mut().poll(context)) {
            return Poll::Ready(end.map(|error| Err(axum::Error::new(error))));
        }
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.body.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

/// The contents of a file, with their length, so that one who gets less knows.
pub(super) fn contents(file: File) -> io::Result<impl IntoResponse> {
    let length = file.metadata()?.len();
    let pieces = futures_util::stream::try_unfold((file, 0), async |(file, at)| {
        let read = move || {
            let mut piece = vec![0; PIECE];
            let length = file.read_at(&mut piece, at)?;
            piece.truncate(length);
            io::Result::Ok((Bytes::from(piece), (file, at + length as u64)))
        };
        let (piece, rest) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        Ok::<_, io::Error>((!piece.is_empty()).then_some((piece, rest)))
    });
    Ok(([(header::CONTENT_LENGTH, length.to_string())], Body::from_stream(pieces)))
}

/// What is given to a connection at a time; it takes two of these before it waits for its reader.
const PIECE: usize = 64 << 10;
