//! Answers to readers: worked out on the threads of readers, sent piece by piece, and counted until they are sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};

use super::bounds::ANSWER_TAKES;
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
    Ok(until_sent(answer, turn, Some(in_time())))
}

/// Keeps what an answer takes up until it is sent, or until it `ends` before.
pub(super) fn until_sent(answer: Response, place: impl Send + Unpin + 'static, ends: Option<Ends>) -> Response {
    answer.map(|body| Body::new(Held { body, rest: Bytes::new(), ends, _place: place }))
}

/// Ready when an answer ends before it is sent; with an error, where its reader is to know that something is missing.
pub(super) type Ends = Pin<Box<dyn Future<Output = Option<io::Error>> + Send>>;

/// When this has not been taken for too long.
fn in_time() -> Ends {
    Box::pin(async {
        tokio::time::sleep(ANSWER_TAKES).await;
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

/// What is given to a connection at a time; it takes two of these before it waits for its reader.
const PIECE: usize = 64 << 10;
