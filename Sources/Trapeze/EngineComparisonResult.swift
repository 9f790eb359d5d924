// What a comparison of engines has come to: the runs, their figures, and where they disagree.

import Comparison
import VirtualCPU

/// One run of the guest on one engine.
public struct EngineRun: Sendable {
    /// How it ended; nil if the time limit ended it.
    public let outcome: VirtualMachine.Outcome?
    /// From the guest's start to its end, in seconds.
    public let wallSeconds: Double
    /// Processor time of the whole process meanwhile, in user mode, in seconds.
    public let userSeconds: Double
    /// The same in the kernel.
    public let systemSeconds: Double
    /// The sum over all vCPUs.
    public let counters: EngineCounters
    /// What the guest printed.
    public let report: ConsoleReport
}

/// Repeated measurements of one thing.
public typealias MeasuredSamples = Samples

/// Where a run does not agree with the one it is compared with.
public typealias EngineDisagreement = Disagreement

/// All runs of a comparison.
public struct EngineComparisonResult: Sendable {
    /// Every engine that was asked for, in that order.
    public let contenders: [EngineComparison.Contender]

    /// The engines that ran the guest.
    public var ran: [EngineComparison.Contender] { contenders.filter { !$0.runs.isEmpty } }

    /// The engine that the others are compared with: the interpreter, or the first one if that did not run.
    public var reference: EngineComparison.Contender? { ran.first { $0.name == "interpret" } ?? ran.first }

    /// A disagreement, and which run it is in.
    public struct Finding: Sendable {
        /// The engine whose run it is.
        public let engine: String
        /// Number of the run on that engine, from 1.
        public let run: Int
        /// What differs from the reference's first run.
        public let disagreement: EngineDisagreement
    }

    /// Every run that does not agree with the reference's first.
    public var findings: [Finding] {
        guard let reference, let expected = reference.runs.first else { return [] }
        return ran.flatMap { contender in
            contender.runs.enumerated().compactMap { index, run in
                let disagreement = Disagreement(
                    expectedEnding: expected.ending, expected: expected.report, foundEnding: run.ending,
                    found: run.report)
                return disagreement.map { Finding(engine: contender.name, run: index + 1, disagreement: $0) }
            }
        }
    }

    /// Whether a run was ended by the time limit.
    public var timedOut: Bool { ran.contains { $0.runs.contains { $0.outcome == nil } } }

    /// How the other text of an engine's first run differs from that of the reference's; nil if it does not.
    public func consoleDifference(of contender: EngineComparison.Contender) -> TextDifference? {
        guard let reference, reference.name != contender.name, let a = reference.runs.first,
            let b = contender.runs.first
        else { return nil }
        let difference = TextDifference(from: a.report.otherLines, to: b.report.otherLines)
        return difference.lines.isEmpty ? nil : difference
    }

    /// Every measurement's name and unit, in the order in which guests gave them.
    public var measured: [(name: String, unit: String)] {
        var found: [(name: String, unit: String)] = []
        for measurement in ran.flatMap(\.runs).flatMap(\.report.measurements)
        where !found.contains(where: { $0.name == measurement.name && $0.unit == measurement.unit }) {
            found.append((measurement.name, measurement.unit))
        }
        return found
    }
}

extension EngineComparison.Contender {
    /// Wall time of the runs, in seconds.
    public var wall: MeasuredSamples? { Samples(runs.map(\.wallSeconds)) }
    /// Processor time, in seconds.
    public var processor: MeasuredSamples? { Samples(runs.map { $0.userSeconds + $0.systemSeconds }) }

    /// What the guest measured.
    public func measurement(_ name: String, unit: String) -> MeasuredSamples? {
        Samples(
            runs.flatMap(\.report.measurements).filter { $0.name == name && $0.unit == unit }.map(\.value))
    }

    /// A counter's median; nil where the engine does not know it.
    public func counter(_ path: KeyPath<EngineCounters, UInt64?>) -> UInt64? {
        let values = runs.compactMap { $0.counters[keyPath: path] }.sorted()
        return values.count == runs.count && !values.isEmpty ? values[values.count / 2] : nil
    }
}

extension EngineRun {
    /// The end in words, the exit status among them.
    public var ending: String {
        switch outcome {
        case .poweredOff: "power-off"
        case .reset: "reset"
        case .exited(let status): "exit status \(status)"
        case .panicked: "panic"
        case .tripleFault: "triple fault"
        case .stopped: "stopped"
        case .failed(let reason): "the engine failed: \(reason)"
        case nil: "time limit"
        }
    }
}
