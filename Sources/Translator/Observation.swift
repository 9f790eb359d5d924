// What a run wants to know of the translator beside its counters; all of it is off by default.

/// Who looks.
package struct TranslationObservation: Sendable {
    /// Takes all blocks; their code then counts its executions.
    package var recorder: TranslationRecorder?
    /// Names generated code for Linux perf.
    package var performanceMap: PerformanceMap?
    /// The time that each stage takes is measured.
    package var timesStages = false

    /// Nobody.
    package init() {}
}
