//! Answers to readers: computed on the reader threads, sent in pieces, and counted until they are sent.

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

use super::desk::{ReadKind, Reader};
use super::problem::Failure;
use crate::engine::Engine;

/// Waits for the reader's turn, then computes the answer by `handler`.
pub(super) async fn read<A, F>(
    engine: Arc<Engine>,
    reader: &Reader,
    kind: ReadKind,
    handler: A,
) -> Result<Response, Failure>
where
    A: FnOnce(Arc<Engine>) -> F + Send + 'static,
    F: Future<Output: IntoResponse> + Send + 'static,
{
    let turn = reader.turn(kind).await.map_err(Failure::full)?;
    let for_handler = Arc::clone(&engine);
    // The turn belongs to the work: if the client disconnects, the turn ends when the work does.
    let work = async move { (handler(for_handler).await.into_response(), turn) };
    let (answer, turn) = engine.for_reader(work).await?;
    Ok(until_sent(answer, turn, Some(too_slow(kind))))
}

/// Keeps the place of an answer occupied until the answer is sent, or until `end` ends the answer earlier.
pub(super) fn until_sent(answer: Response, place: impl Send + Unpin + 'static, end: Option<EarlyEnd>) -> Response {
    answer.map(|body| Body::new(BodyInPieces { body, rest: Bytes::new(), end, _place: place }))
}

/// Becomes ready when an answer must end early; with an error if the reader must learn that the answer is incomplete.
pub(super) type EarlyEnd = Pin<Box<dyn Future<Output = Option<io::Error>> + Send>>;

/// Becomes ready when the reader has taken too long to receive the answer.
fn too_slow(kind: ReadKind) -> EarlyEnd {
    Box::pin(async move {
        tokio::time::sleep(kind.sent_within()).await;
        Some(io::ErrorKind::TimedOut.into())
    })
}

/// A body that is sent in pieces: its place stays occupied until the reader has received all pieces.
struct BodyInPieces<P> {
    body: Body,
    rest: Bytes,
    end: Option<EarlyEnd>,
    _place: P,
}

impl<P: Unpin> HttpBody for BodyInPieces<P> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(Poll::Ready(end)) = self.end.as_mut().map(|end| end.as_mut().poll(context)) {
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

/// The contents of a file, with their length: a client that receives fewer bytes knows that the answer is incomplete.
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

/// The bytes that a connection gets at a time. A connection takes two pieces before it waits for its reader.
const PIECE: usize = 64 << 10;
