// "Did you mean": the known names nearest to one that is not known.

/// A parenthesis with the nearest of `names` for an error message, or nothing if none is near: " (did you mean 'tour'?)".
public func suggestion(for word: String, among names: some Sequence<String>) -> String {
    let limit = word.count < 4 ? 1 : max(2, word.count / 3)
    let near = names.map { (name: $0, distance: editDistance(word.lowercased(), $0.lowercased())) }
        .filter { $0.distance <= limit || ($0.name.hasPrefix(word.lowercased()) && word.count >= 2) }
        .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
        .prefix(2).map { "'\($0.name)'" }
    return near.isEmpty ? "" : " (did you mean \(near.joined(separator: " or "))?)"
}

/// The number of single-character insertions, deletions, replacements and swaps of neighbours between two words (optimal
/// string alignment). Words are compared by their first 64 characters.
func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.prefix(64)), Array(b.prefix(64)))
    var rows = [Array(0...b.count)]
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var distance = min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { distance = min(distance, rows[i - 1][j - 1] + 1) }
            row.append(distance)
        }
        rows.append(row)
    }
    return rows[a.count][b.count]
}
