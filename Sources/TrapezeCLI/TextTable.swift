// Columns of text: the first one to the left, the others to the right, each as wide as it needs to be.

struct TextTable {
    private var rows: [[String]] = []

    /// Adds a row. The last cell of a row that has fewer cells than others may be of any length: it runs on.
    mutating func add(_ cells: [String]) { rows.append(cells) }

    /// The lines, without blanks at their ends.
    var lines: [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.filter { column < $0.count && ($0.count == columns || column < $0.count - 1) }
                .map { $0[column].count }.max() ?? 0
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let blanks = String(repeating: " ", count: max(0, widths[column] - cell.count))
                if column == 0 {
                    line += cell + blanks
                } else if row.count < columns, column == row.count - 1 {
                    line += "  " + cell
                } else {
                    line += "  " + blanks + cell
                }
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
