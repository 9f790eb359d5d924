// Picks members out of a tar stream as it passes by, so that a package of hundreds of megabytes is never held or
// unpacked as a whole.
//
// Reads what dpkg-deb writes: 512-byte headers in ustar or GNU form, with GNU's long names (type L). Source: tar(5).
// The stream is untrusted: sizes are bounded, and a header that makes no sense ends the scan with a reason.

package struct TarScanner {
    /// Members that were wanted and found, by name without a leading "./".
    package private(set) var members: [String: [UInt8]] = [:]
    /// Why the scan ended early, if it did.
    package private(set) var failure: String?

    private let isWanted: (String) -> Bool
    /// The largest member that is kept, in bytes.
    private let memberLimit: Int

    private var pending: [UInt8] = []
    private var state = State.header
    private var longName: [UInt8]?

    private enum State {
        case header
        /// Inside a member's contents: where they go, bytes left of them, and bytes of padding after them.
        case contents(Sink, left: Int, padding: Int)
        case ended
    }

    private enum Sink: Equatable {
        case member(String)
        case longName
        case nowhere
    }

    package init(memberLimit: Int = 512 << 20, isWanted: @escaping (String) -> Bool) {
        self.memberLimit = memberLimit
        self.isWanted = isWanted
    }

    /// Takes the next part of the stream.
    package mutating func feed(_ chunk: UnsafeRawBufferPointer) {
        var rest = chunk[...]
        while !rest.isEmpty {
            switch state {
            case .ended:
                return
            case .header:
                let part = rest.prefix(512 - pending.count)
                pending.append(contentsOf: part)
                rest = rest.dropFirst(part.count)
                if pending.count == 512 {
                    readHeader(pending)
                    pending.removeAll(keepingCapacity: true)
                }
            case .contents(let sink, let left, let padding):
                let part = rest.prefix(left)
                rest = rest.dropFirst(part.count)
                switch sink {
                case .member(let name): members[name, default: []].append(contentsOf: part)
                case .longName: longName?.append(contentsOf: part)
                case .nowhere: break
                }
                let skipped = left == part.count ? min(padding, rest.count) : 0
                rest = rest.dropFirst(skipped)
                let (nextLeft, nextPadding) = (left - part.count, padding - skipped)
                state = nextLeft + nextPadding == 0 ? .header : .contents(sink, left: nextLeft, padding: nextPadding)
            }
        }
    }

    /// Whether the stream ended where a member may begin.
    package var isComplete: Bool {
        guard failure == nil else { return false }
        switch state {
        case .ended: return true
        case .header: return pending.isEmpty
        case .contents: return false
        }
    }

    private mutating func readHeader(_ header: [UInt8]) {
        if header.allSatisfy({ $0 == 0 }) {
            state = .ended
            return
        }
        guard header[257..<262].elementsEqual(Array("ustar".utf8)), let size = Self.octal(header[124..<136]) else {
            failure = "its contents are not a tar archive"
            state = .ended
            return
        }
        let padding = (512 - size % 512) % 512
        let type = header[156]
        var name = Self.text(header[0..<100])
        // The ustar form has a prefix field where the GNU form ("ustar  ") keeps other things.
        if header[262] == 0, let prefix = Optional(Self.text(header[345..<500])), !prefix.isEmpty {
            name = prefix + "/" + name
        }
        if type == UInt8(ascii: "L") {
            guard size <= 4096 else {
                failure = "its contents have a name of \(size) bytes"
                state = .ended
                return
            }
            longName = []
            state = .contents(.longName, left: size, padding: padding)
            return
        }
        if let longName { name = Self.text(longName[...]) }
        longName = nil
        if name.hasPrefix("./") { name.removeFirst(2) }
        var sink = Sink.nowhere
        if (type == UInt8(ascii: "0") || type == 0) && isWanted(name) {
            guard size <= memberLimit else {
                failure = "\(name) in it has \(size) bytes"
                state = .ended
                return
            }
            members[name] = []
            members[name]?.reserveCapacity(size)
            sink = .member(name)
        }
        state = size == 0 ? .header : .contents(sink, left: size, padding: padding)
    }

    private static func text(_ field: ArraySlice<UInt8>) -> String {
        String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// A number in octal digits, ended by a blank or NUL; at most 2^33.
    private static func octal(_ field: ArraySlice<UInt8>) -> Int? {
        let digits = field.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
        guard !digits.isEmpty, digits.count <= 11 else { return nil }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
            value = value << 3 | Int(digit - UInt8(ascii: "0"))
        }
        return value
    }
}
