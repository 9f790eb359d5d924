// In which lines two consoles differ, for people to look at. Time stamps of Linux's log are no difference.

/// The lines that only one of two texts has.
public struct TextDifference: Sendable, Equatable {
    /// A line, and which side it is on.
    public enum Line: Sendable, Equatable {
        /// Only in the first text.
        case removed(String)
        /// Only in the second one.
        case added(String)
    }

    /// In order of their places.
    public let lines: [Line]

    /// Lines beyond these, counted from the first that differs, are not compared: the time goes with the square.
    public static let limit = 2000

    /// Compares two texts.
    public init(from first: [String], to second: [String]) {
        let (a, b) = (first.map(Self.withoutTimeStamp), second.map(Self.withoutTimeStamp))
        let start = zip(a, b).prefix { $0 == $1 }.count
        let restA = Array(a.dropFirst(start).prefix(Self.limit))
        let restB = Array(b.dropFirst(start).prefix(Self.limit))
        let changes = restB.difference(from: restA)
        var (removed, added): (Set<Int>, Set<Int>) = ([], [])
        for change in changes {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): added.insert(offset)
            }
        }
        var found: [Line] = []
        var (i, j) = (0, 0)
        while i < restA.count || j < restB.count {
            if removed.contains(i) {
                found.append(.removed(restA[i]))
                i += 1
            } else if added.contains(j) {
                found.append(.added(restB[j]))
                j += 1
            } else {
                (i, j) = (i + 1, j + 1)
            }
        }
        lines = found
    }

    /// "[    1.234567] text" is "text".
    static func withoutTimeStamp(_ line: String) -> String {
        guard line.hasPrefix("["), let end = line.firstIndex(of: "]") else { return line }
        let stamp = line[line.index(after: line.startIndex)..<end]
        guard stamp.contains("."), stamp.allSatisfy({ $0 == " " || $0 == "." || $0.isNumber }) else { return line }
        return String(line[line.index(after: end)...].drop { $0 == " " })
    }
}
