// Bytes as the tables of firmware and the headers of kernels have them: little-endian integers at named offsets. The
// reading side is bounded by construction: what lies beyond the end is nil, never a trap. Used by Boot and ACPI.

/// Builds a structure as bytes, appended in order or put at offsets.
package struct ByteWriter {
    /// What was written so far.
    package private(set) var bytes: [UInt8]

    /// An empty structure.
    package init() { bytes = [] }

    /// A structure of `count` zero bytes, to be filled at offsets.
    package init(count: Int) { bytes = [UInt8](repeating: 0, count: count) }

    /// The number of bytes.
    package var count: Int { bytes.count }

    /// Appends an integer.
    package mutating func append<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Appends bytes as they are.
    package mutating func append(_ more: [UInt8]) { bytes += more }

    /// Appends ASCII text in a field of `width` bytes, cut or padded with `fill`.
    package mutating func append(text: String, width: Int, fill: UInt8 = 0) {
        let text = text.utf8.prefix(width)
        bytes += text
        bytes += repeatElement(fill, count: width - text.count)
    }

    /// Appends zeros until the structure has `size` bytes.
    package mutating func pad(to size: Int) {
        if bytes.count < size { bytes += repeatElement(0, count: size - bytes.count) }
    }

    /// Writes an integer at an offset, growing the structure if it ends before.
    package mutating func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        pad(to: offset + MemoryLayout<T>.size)
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }

    /// Writes bytes at an offset, growing the structure if it ends before.
    package mutating func put(_ values: ArraySlice<UInt8>, at offset: Int) {
        pad(to: offset + values.count)
        bytes.replaceSubrange(offset..<offset + values.count, with: values)
    }

    /// Sets the byte at `offset` so that all bytes add up to 0 modulo 256.
    package mutating func setChecksum(at offset: Int) {
        put(UInt8(0), at: offset)
        put(0 &- bytes.reduce(0, &+), at: offset)
    }
}

/// Bytes from outside, read at offsets.
package struct ByteReader {
    /// The bytes.
    package let bytes: [UInt8]

    /// Wraps bytes.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The integer at an offset, or nil if it does not lie within the bytes.
    package func integer<T: FixedWidthInteger>(_ type: T.Type = T.self, at offset: Int) -> T? {
        let size = MemoryLayout<T>.size
        guard offset >= 0, offset <= bytes.count - size else { return nil }
        return bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }

    /// Whether `text` stands at an offset.
    package func has(_ text: String, at offset: Int) -> Bool {
        let text = Array(text.utf8)
        guard offset >= 0, offset <= bytes.count - text.count else { return false }
        return bytes[offset..<offset + text.count].elementsEqual(text)
    }
}

extension UInt64 {
    /// The next multiple of `alignment` (a power of two), or nil if it is beyond 64 bits.
    package func roundedUp(to alignment: UInt64) -> UInt64? {
        let (sum, overflow) = addingReportingOverflow(alignment &- 1)
        return overflow ? nil : sum & ~(alignment &- 1)
    }

    /// The multiple of `alignment` (a power of two) at or before this.
    package func roundedDown(to alignment: UInt64) -> UInt64 { self & ~(alignment &- 1) }

    /// The half-open range of `count` from here, or nil if it goes beyond 64 bits.
    package func range(count: UInt64) -> Range<UInt64>? {
        let (end, overflow) = addingReportingOverflow(count)
        return overflow ? nil : self..<end
    }

    /// As an address in a message.
    package var hex: String { "0x" + String(self, radix: 16) }
}
