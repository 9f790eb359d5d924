// The table of `trapeze compare`: a row for each engine; then, with a column for each engine that ran, what the guest
// measured, exits by reason, and the engine's own work; last whether they agree.

import Foundation
import Trapeze

struct ComparisonTable {
    let guest: String?
    let options: CompareCommand
    let result: EngineComparisonResult

    /// As many lines of differing console text are shown for an engine.
    private static let consoleLines = 12

    var lines: [String] {
        let runs = options.repeats == 1 ? "one run" : "\(options.repeats) runs"
        let cpus = options.machine.cpuCount == 1 ? "1 vCPU" : "\(options.machine.cpuCount) vCPUs"
        let machine = "\(cpus), \(describeSize(options.machine.memory.bytes))"
        let title = "\(guest ?? "guest"): \(runs) on each engine, \(machine)"
        var lines = [title + (options.clock == .instructions ? ", time counted in instructions" : ""), ""]
        lines += engines
        if !result.ran.isEmpty { lines += figures + [""] + verdict + console }
        return lines
    }

    // MARK: Engines

    private var engines: [String] {
        var table = TextTable()
        table.add(["engine", "wall s", "", "processor s", "", "ratio", "instructions", "end"])
        let fastest = result.ran.compactMap { $0.wall?.median }.min() ?? 0
        for contender in result.contenders {
            guard let wall = contender.wall, let processor = contender.processor else {
                table.add([contender.name, "cannot run: " + (contender.obstacle ?? "unknown")])
                continue
            }
            table.add([
                contender.name, seconds(wall.median), spread(wall), seconds(processor.median), spread(processor),
                String(format: "%.2f", wall.median / max(fastest, 1e-9)), count(contender.counter(\.instructions)),
                ending(contender),
            ])
        }
        return table.lines
    }

    /// How the runs ended: once, if all alike.
    private func ending(_ contender: EngineComparison.Contender) -> String {
        var endings: [String] = []
        for run in contender.runs where !endings.contains(run.ending) { endings.append(run.ending) }
        return endings.joined(separator: "; ")
    }

    private func spread(_ samples: MeasuredSamples) -> String {
        guard samples.count > 1 else { return "" }
        return "(\(seconds(samples.range.lowerBound))–\(seconds(samples.range.upperBound)))"
    }

    private func seconds(_ value: Double) -> String { String(format: value < 10 ? "%.3f" : "%.1f", value) }

    // MARK: Figures

    private var figures: [String] {
        var table = TextTable()
        let ran = result.ran
        let measured = result.measured
        if !measured.isEmpty {
            table.add([""] + ran.map { _ in "" })
            table.add(["measured by the guest"] + ran.map(\.name))
            for (name, unit) in measured {
                table.add(
                    ["  " + name + (unit.isEmpty ? "" : ", \(unit)")]
                        + ran.map { $0.measurement(name, unit: unit).map { number($0.median) } ?? "-" })
            }
        }
        for (title, fields) in [("exits by reason", EngineCounters.exits), ("engine's own work", EngineCounters.work)] {
            let rows = fields.filter { field in ran.contains { ($0.counter(field.path) ?? 0) != 0 } }
            guard !rows.isEmpty else { continue }
            table.add([""] + ran.map { _ in "" })
            table.add([title] + ran.map(\.name))
            for (key, path) in rows { table.add(["  " + key] + ran.map { count($0.counter(path)) }) }
        }
        return table.lines
    }

    /// Digits in groups of three; a dash for what the engine does not know.
    private func count(_ value: UInt64?) -> String {
        guard let value else { return "-" }
        var text = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text = "," + text }
            text = String(digit) + text
        }
        return text
    }

    /// A measurement with about four digits that say something.
    private func number(_ value: Double) -> String {
        let size = abs(value)
        if size >= 1000, size < 1e15 { return (value < 0 ? "-" : "") + count(UInt64(size.rounded())) }
        return String(format: size == 0 || size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.3g", value)
    }

    // MARK: Agreement

    private var verdict: [String] {
        guard let reference = result.reference, let first = reference.runs.first else { return [] }
        let findings = result.findings
        guard findings.isEmpty else {
            return ["The engines DISAGREE; expected is what \(reference.name) came to first:"]
                + findings.flatMap { finding in
                    let (what, expected, found) = finding.disagreement.sides
                    return [
                        "  \(finding.engine), run \(finding.run): \(what)", "    expected  \(expected)",
                        "    found     \(found)",
                    ]
                }
        }
        let results = first.report.results.count
        let agreed =
            "the end (\(first.ending))"
            + (results == 0 ? "; the guest marks no results" : " and \(results) result\(results == 1 ? "" : "s")")
        if result.ran.count > 1 { return ["The engines agree on \(agreed)."] }
        return ["Only \(reference.name) ran" + (reference.runs.count > 1 ? "; its runs agree on \(agreed)." : ".")]
    }

    private var console: [String] {
        result.ran.flatMap { contender -> [String] in
            guard let reference = result.reference, let difference = result.consoleDifference(of: contender) else {
                return []
            }
            let shown = difference.lines.prefix(Self.consoleLines).map { line in
                switch line {
                case .removed(let text): "  - " + text
                case .added(let text): "  + " + text
                }
            }
            let rest = difference.lines.count - shown.count
            return [
                "",
                "Other text of the console, \(reference.name) (-) and \(contender.name) (+), which decides nothing:",
            ]
                + shown + (rest > 0 ? ["  and \(rest) more line\(rest == 1 ? "" : "s")"] : [])
        }
    }
}
