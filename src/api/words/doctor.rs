//! The words about findings of `teeter doctor`.

words! {
    /// The result of an examination by `teeter doctor`.
    FindingStatus {
        /// Nothing is wrong.
        Ok = "ok",
        /// It works now, and will fail when it matters.
        Warning = "warning",
        /// It does not work.
        Error = "error",
        /// It does not answer.
        Unreachable = "unreachable",
    }
}
