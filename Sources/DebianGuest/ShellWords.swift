// Puts arbitrary bytes into a shell script as literal words.
//
// Between single quotes a POSIX shell takes every byte but the quote itself as it is (POSIX XCU 2.2.2); a quote is left,
// written with a backslash, and re-entered. Only NUL has no spelling.

package enum ShellWords {
    /// One word that the shell reads as exactly `bytes`.
    package static func quoted(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let quote = UInt8(ascii: "'")
        var word = [quote]
        for byte in bytes {
            if byte == quote {
                word.append(contentsOf: Array(#"'\''"#.utf8))
            } else {
                word.append(byte)
            }
        }
        word.append(quote)
        return word
    }

    /// `words` separated by blanks, each exact. A NUL byte is refused with the index of its word.
    package static func joined(_ words: [[UInt8]]) throws(DebianGuestError) -> [UInt8] {
        var line: [UInt8] = []
        for (index, word) in words.enumerated() {
            guard !word.contains(0) else { throw .argumentContainsNUL(index: index) }
            if index > 0 { line.append(UInt8(ascii: " ")) }
            line.append(contentsOf: quoted(word))
        }
        return line
    }
}
