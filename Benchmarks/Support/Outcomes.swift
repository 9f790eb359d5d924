// What the runs of several contenders came to, row by row: checksums that must agree, and times, as a table and as JSON.

import Foundation

/// The outcomes of all runs.
package struct Outcomes {
    /// What contenders are compared as.
    package enum Role: Sendable {
        /// The host itself, if it is one of them.
        case native
        /// Whose figures are asked for.
        case subject
        /// What it is compared with; the fastest counts.
        case rival
    }

    private let contenders: [(name: String, role: Role)]
    /// Rows in the order in which they came.
    private var names: [String] = []
    /// The checksum of each row, and who had it first.
    private var checksums: [String: (sum: String, contender: Int)] = [:]
    /// For each row and contender its times; none where it could not run.
    private var times: [String: [[Double]]] = [:]

    package init(contenders: [(name: String, role: Role)]) { self.contenders = contenders }

    /// Takes a row of one run; without a time it could not run there.
    package mutating func add(_ row: String, checksum: String?, time: Double?, of contender: Int) throws {
        if times[row] == nil {
            names.append(row)
            times[row] = contenders.map { _ in [] }
        }
        if let checksum {
            if let known = checksums[row], known.sum != checksum {
                throw Failure(
                    "\(row): the checksum is \(known.sum) by \(contenders[known.contender].name) and \(checksum) by "
                        + contenders[contender].name)
            }
            if checksums[row] == nil { checksums[row] = (checksum, contender) }
        }
        if let time { times[row]?[contender].append(time) }
    }

    /// The ratios of medians: the subject's time to the native one, and its speed to the fastest rival's.
    package struct Ratios {
        package var slowdown: Double?
        package var speed: Double?
    }

    /// The ratios of a row.
    package func ratios(_ row: String) -> Ratios {
        func time(_ role: Role) -> Double? {
            zip(contenders, times[row] ?? []).filter { $0.0.role == role }.compactMap { median($0.1) }.min()
        }
        func ratio(_ value: Double?, _ base: Double?) -> Double? {
            guard let value, let base, base > 0 else { return nil }
            return value / base
        }
        return Ratios(
            slowdown: ratio(time(.subject), time(.native)), speed: ratio(time(.rival), time(.subject)))
    }

    /// Geometric means of the rows that count.
    package func means(where counts: (String) -> Bool = { _ in true }) -> Ratios {
        let all = names.filter(counts).map { ratios($0) }
        return Ratios(
            slowdown: geometricMean(all.compactMap(\.slowdown)), speed: geometricMean(all.compactMap(\.speed)))
    }

    /// Prints medians and ratios, and what rows miss; the result is the latter, in words.
    ///
    /// - Parameters:
    ///   - head: what the rows are, the table's first word.
    ///   - format: of the times.
    ///   - counts: which rows are part of the means.
    ///   - least: the least speed of a row relative to the fastest rival.
    package func printTable(
        _ head: String, format: String, counting counts: (String) -> Bool = { _ in true }, least: (String) -> Double
    ) -> [String] {
        let subject = contenders.first { $0.role == .subject }?.name ?? ""
        let (hasNative, hasRivals) = (
            contenders.contains { $0.role == .native }, contenders.contains { $0.role == .rival }
        )
        func cells(_ ratios: Ratios) -> [String] {
            (hasNative ? [Self.text(ratios.slowdown, "%.2f")] : [])
                + (hasRivals ? [Self.text(ratios.speed, "%.2f")] : [])
        }
        var table = Table(
            head: [head] + contenders.map(\.name) + (hasNative ? ["\(subject)/native"] : [])
                + (hasRivals ? ["QEMU/\(subject)"] : []))
        var missed: [String] = []
        for row in names {
            let ratios = ratios(row)
            var line = [row] + (times[row] ?? []).map { Self.text(median($0), format) } + cells(ratios)
            if let speed = ratios.speed, speed < least(row) {
                line.append("< \(least(row))")
                missed.append("\(row): \(Self.text(speed, "%.2f")) times QEMU's speed, less than \(least(row))")
            }
            table.add(line)
        }
        table.add(["geometric mean"] + contenders.map { _ in "" } + cells(means(where: counts)))
        print(table.text)
        return missed
    }

    /// Writes all of it: for each row its checksum and, for each contender, its times.
    package func write(to path: String) throws {
        struct Row: Encodable {
            var name: String
            var checksum: String?
            var times: [String: [Double]]
        }
        let rows = names.map { name in
            Row(
                name: name, checksum: checksums[name]?.sum,
                times: Dictionary(uniqueKeysWithValues: zip(contenders.map(\.name), times[name] ?? [])))
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        do { try encoder.encode(rows).write(to: URL(filePath: path)) } catch {
            throw Failure("\(path): cannot be written: \(error.localizedDescription)")
        }
    }

    private static func text(_ value: Double?, _ format: String) -> String {
        value.map { String(format: format, $0) } ?? "-"
    }
}
