// What `trapeze compare --json` writes; every key is documented in Docs/compare.md.

import Trapeze

struct ComparisonReport {
    let guest: String?
    let options: CompareCommand
    let result: EngineComparisonResult

    /// The JSON text, ended by a newline.
    var text: String {
        JSON.object([
            ("schema", .integer(1)),
            ("version", .string(trapezeVersion)),
            ("guest", .string(guest)),
            ("cpuModel", .string(options.machine.cpu)),
            ("cpus", .integer(UInt64(options.machine.cpuCount))),
            ("memoryBytes", .integer(options.machine.memory.bytes)),
            ("clock", .string(options.clock.rawValue)),
            ("repeats", .integer(UInt64(options.repeats))),
            ("reference", .string(result.reference?.name)),
            ("agree", .boolean(result.ran.isEmpty ? nil : result.findings.isEmpty)),
            ("disagreements", .array(result.findings.map(Self.object))),
            ("engines", .array(result.contenders.map(engine))),
        ]).text() + "\n"
    }

    private static func object(_ finding: EngineComparisonResult.Finding) -> JSON {
        let (what, expected, found) = finding.disagreement.sides
        return .object([
            ("engine", .string(finding.engine)), ("run", .integer(UInt64(finding.run))), ("what", .string(what)),
            ("expected", .string(expected)), ("found", .string(found)),
        ])
    }

    private func engine(_ contender: EngineComparison.Contender) -> JSON {
        let fastest = result.ran.compactMap { $0.wall?.median }.min() ?? 0
        let ratio = contender.wall.map { $0.median / max(fastest, 1e-9) } ?? .nan
        let measured = result.measured.compactMap { name, unit in
            contender.measurement(name, unit: unit).map { samples in
                JSON.object([("name", .string(name)), ("unit", .string(unit))] + Self.members(samples))
            }
        }
        return .object([
            ("name", .string(contender.name)),
            ("obstacle", .string(contender.runs.isEmpty ? contender.obstacle : nil)),
            ("wallSeconds", Self.object(contender.wall)),
            ("processorSeconds", Self.object(contender.processor)),
            ("ratio", .number(ratio)),
            ("measured", .array(measured)),
            (
                "consoleLinesThatDiffer",
                .integer(
                    contender.runs.isEmpty ? nil : UInt64(result.consoleDifference(of: contender)?.lines.count ?? 0))
            ),
            ("runs", .array(contender.runs.map(run))),
        ])
    }

    private func run(_ run: EngineRun) -> JSON {
        let end = run.outcome.map(RunEnd.machine) ?? .timeout
        return .object([
            ("outcome", .string(end.name)),
            ("exitStatus", .integer(UInt64(end.status(onReset: .exit(0)).rawValue))),
            ("wallSeconds", .number(run.wallSeconds)),
            ("userSeconds", .number(run.userSeconds)),
            ("systemSeconds", .number(run.systemSeconds)),
            ("results", .array(run.report.results.map { .string($0) })),
            (
                "measured",
                .array(
                    run.report.measurements.map { measurement in
                        .object([
                            ("name", .string(measurement.name)), ("value", .number(measurement.value)),
                            ("unit", .string(measurement.unit)),
                        ])
                    })
            ),
            ("counters", Statistics.object(run.counters)),
        ])
    }

    private static func object(_ samples: MeasuredSamples?) -> JSON {
        samples.map { .object(members($0)) } ?? .string(nil)
    }

    private static func members(_ samples: MeasuredSamples) -> [(String, JSON)] {
        [
            ("median", .number(samples.median)), ("least", .number(samples.range.lowerBound)),
            ("greatest", .number(samples.range.upperBound)),
        ]
    }
}
