// The frame around packets of GDB's remote serial protocol (GDB manual, appendix E, "Overview"): `$data#checksum`, with
// `}` escaping bytes in data, `+` and `-` to acknowledge, and byte 3 for an interrupt between packets.

/// Cuts a stream of bytes from GDB into events. Whatever is sent, it holds a bounded amount and never fails.
struct PacketDecoder {
    enum Event: Equatable {
        /// A packet with a correct checksum, its data unescaped.
        case packet([UInt8])
        /// A packet with a wrong checksum, or one that is too long.
        case damaged
        /// `+`
        case acknowledged
        /// `-`: the last packet is wanted again.
        case rejected
        /// Ctrl-C.
        case interrupt
    }

    /// The largest data of a packet in either direction, in bytes, as announced in `PacketSize`.
    static let limit = 0x4000

    private enum State {
        case between
        case data
        case checksum(first: UInt8?)
    }

    private var state = State.between
    private var data: [UInt8] = []
    private var sum: UInt8 = 0
    private var escapes = false
    private var isTooLong = false

    /// The events that these bytes complete.
    mutating func decode(_ bytes: some Sequence<UInt8>) -> [Event] { bytes.compactMap { decode($0) } }

    private mutating func decode(_ byte: UInt8) -> Event? {
        switch state {
        case .between:
            switch byte {
            case UInt8(ascii: "$"): begin()
            case UInt8(ascii: "+"): return .acknowledged
            case UInt8(ascii: "-"): return .rejected
            case 3: return .interrupt
            default: break
            }
        case .data:
            // A `$` cannot stand in data: the packet before it was cut off.
            if byte == UInt8(ascii: "$") {
                begin()
            } else if byte == UInt8(ascii: "#") {
                state = .checksum(first: nil)
            } else {
                take(byte)
            }
        case .checksum(nil):
            state = .checksum(first: byte)
        case .checksum(let first?):
            state = .between
            guard let expected = UInt8(hex: first, byte), expected == sum, !escapes, !isTooLong else { return .damaged }
            return .packet(data)
        }
        return nil
    }

    private mutating func begin() {
        state = .data
        data.removeAll(keepingCapacity: true)
        (sum, escapes, isTooLong) = (0, false, false)
    }

    private mutating func take(_ byte: UInt8) {
        sum &+= byte
        if !escapes, byte == UInt8(ascii: "}") {
            escapes = true
        } else if data.count == Self.limit {
            isTooLong = true
        } else {
            data.append(escapes ? byte ^ 0x20 : byte)
            escapes = false
        }
    }
}

/// A packet on its way to GDB.
enum PacketEncoder {
    /// The frame around data that is escaped already, or needs no escaping.
    static func frame(_ data: some Sequence<UInt8>) -> [UInt8] {
        let data = Array(data)
        let sum = data.reduce(0 as UInt8, &+)
        return [UInt8(ascii: "$")] + data + [UInt8(ascii: "#")] + sum.hexDigits
    }

    /// Binary data, escaped. `*` would begin a run-length code.
    static func escape(_ data: some Sequence<UInt8>) -> [UInt8] {
        var escaped: [UInt8] = []
        for byte in data {
            switch byte {
            case UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "}"), UInt8(ascii: "*"):
                escaped += [UInt8(ascii: "}"), byte ^ 0x20]
            default: escaped.append(byte)
            }
        }
        return escaped
    }
}
