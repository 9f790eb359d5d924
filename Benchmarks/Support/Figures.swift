// What benchmarks do with numbers: middles, means, and columns of text.

import Foundation

/// The geometric mean; nil if there are no numbers.
package func geometricMean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : exp(values.reduce(0) { $0 + log($1) } / Double(values.count))
}

/// The number in the middle, or the mean of the two there; nil if there are none.
package func median(_ values: [Double]) -> Double? {
    guard !values.isEmpty else { return nil }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// The name of the host's CPU, with how many there are.
package var hostCPU: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    let name = line?.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? "unknown CPU"
    return "\(name), \(ProcessInfo.processInfo.activeProcessorCount) CPUs"
}

/// Rows of cells, the first column to the left and the others to the right; what is beyond the first row's columns is a
/// remark and runs on.
package struct Table {
    private var rows: [[String]] = []

    package init(head: [String]) { rows.append(head) }

    package mutating func add(_ cells: [String]) { rows.append(cells) }

    package var text: String {
        let columns = rows[0].count
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let blanks = String(repeating: " ", count: column < columns ? max(0, widths[column] - cell.count) : 0)
                line += column == 0 ? cell + blanks : "  " + blanks + cell
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}
