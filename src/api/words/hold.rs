//! The words about holds.

words! {
    /// How far a hold has come.
    HoldStage {
        /// Its servers are being emptied.
        Draining = "draining",
        /// Its deadline has passed with requests left, and its policy is to stop.
        Stuck = "stuck",
        /// Its servers are out, and nothing is in flight on them.
        Out = "out",
        /// Its servers are being verified before they come back.
        Verifying = "verifying",
        /// Its servers have been verified, and wait for their run.
        Verified = "verified",
        /// Its servers take traffic with another weight.
        Shared = "shared",
    }
}
