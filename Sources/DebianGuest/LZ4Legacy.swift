// The "legacy" LZ4 container, in which Debian 12 compresses its kernel (`lz4 -l`), and the LZ4 block format within.
//
// Container: the magic number 0x184C2102, then blocks, each a little-endian 32-bit compressed size followed by that many
// bytes, which expand to at most 8 MiB. Block: sequences of a token, literals, a 16-bit offset and a match; the last
// sequence is literals only. Source: lz4_Frame_format.md and lz4_Block_format.md of the LZ4 project.
// The input is untrusted: every length and offset is checked before it is used.

package enum LZ4Legacy {
    static let magic: [UInt8] = [0x02, 0x21, 0x4C, 0x18]
    private static let blockLimit = 8 << 20

    /// Why data was refused.
    package enum Failure: Error, Equatable {
        case notLegacyLZ4
        /// The data ends within a block, or a block's lengths lead beyond it (`offset` in the compressed data).
        case truncated(offset: Int)
        /// A match reaches back beyond the start of its block.
        case badOffset(offset: Int)
        /// More than the announced number of bytes comes out.
        case tooLong
    }

    /// Expands a whole container to at most `limit` bytes.
    package static func decompress(_ data: ArraySlice<UInt8>, limit: Int) throws(Failure) -> [UInt8] {
        guard data.starts(with: magic) else { throw .notLegacyLZ4 }
        var failure: Failure?
        let output = [UInt8](unsafeUninitializedCapacity: limit) { output, count in
            data.withUnsafeBufferPointer { input in
                do throws(Failure) {
                    var position = 4
                    while position < input.count {
                        guard input.count - position >= 4 else { throw .truncated(offset: position) }
                        let size = (0..<4).reduce(0) { $0 | Int(input[position + $1]) << (8 * $1) }
                        position += 4
                        guard size <= input.count - position else { throw .truncated(offset: position) }
                        let room = min(blockLimit, output.count - count)
                        let block = UnsafeBufferPointer(rebasing: input[position..<(position + size)])
                        let target = UnsafeMutableBufferPointer(rebasing: output[count..<(count + room)])
                        count += try decompressBlock(block, at: position, into: target)
                        position += size
                    }
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
        return output
    }

    /// Expands one block into `output` and returns how many bytes came out.
    private static func decompressBlock(
        _ input: UnsafeBufferPointer<UInt8>, at base: Int, into output: UnsafeMutableBufferPointer<UInt8>
    ) throws(Failure) -> Int {
        var (read, written) = (0, 0)

        // A length of 15 in the token goes on in further bytes, as long as they are 255.
        func length(_ nibble: UInt8) throws(Failure) -> Int {
            var total = Int(nibble)
            guard nibble == 15 else { return total }
            while true {
                guard read < input.count else { throw .truncated(offset: base + read) }
                let more = input[read]
                read += 1
                total += Int(more)
                if more != 255 { return total }
            }
        }

        while read < input.count {
            let token = input[read]
            read += 1
            let literals = try length(token >> 4)
            guard literals <= input.count - read else { throw .truncated(offset: base + read) }
            guard literals <= output.count - written else { throw .tooLong }
            for index in 0..<literals { output[written + index] = input[read + index] }
            read += literals
            written += literals
            if read == input.count { break }

            guard input.count - read >= 2 else { throw .truncated(offset: base + read) }
            let offset = Int(input[read]) | Int(input[read + 1]) << 8
            read += 2
            guard offset > 0, offset <= written else { throw .badOffset(offset: base + read - 2) }
            let match = try length(token & 15) + 4
            guard match <= output.count - written else { throw .tooLong }
            // Byte by byte: a match may overlap what it produces.
            for index in 0..<match { output[written + index] = output[written + index - offset] }
            written += match
        }
        return written
    }
}
