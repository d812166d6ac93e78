//! The words about holds and their drains.

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

words! {
    /// How a drain ended.
    DrainEnd {
        /// Nothing was in flight any more.
        Empty = "empty",
        /// The deadline passed, and the policy was to go on.
        WentOn = "went on",
        /// The deadline passed, and the servers stay as they are.
        Stuck = "stuck",
        /// The servers came back before they were empty.
        Restored = "restored",
    }
}
