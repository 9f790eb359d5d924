// The keys that speak to Trapeze and not to the guest. All begin with Ctrl-A, which is rare in use and not Ctrl-C, since
// that belongs to the guest.

/// Takes the escape keys out of what the user types.
struct EscapeKeys {
    /// What the user asked for.
    enum Action: Equatable {
        case quit
        case help
    }

    static let prefix: UInt8 = 0x01
    static let help = [
        "Ctrl-A x       end the run", "Ctrl-A h       show these keys", "Ctrl-A Ctrl-A  send Ctrl-A to the guest",
    ]

    private var afterPrefix = false

    /// Splits typed bytes into what the guest gets and what Trapeze is asked. A prefix followed by any other key is
    /// dropped together with it.
    mutating func filter(_ typed: [UInt8]) -> (forGuest: [UInt8], actions: [Action]) {
        var result: (forGuest: [UInt8], actions: [Action]) = ([], [])
        for byte in typed {
            guard afterPrefix else {
                if byte == Self.prefix { afterPrefix = true } else { result.forGuest.append(byte) }
                continue
            }
            afterPrefix = false
            switch byte {
            case UInt8(ascii: "x"), UInt8(ascii: "X"): result.actions.append(.quit)
            case UInt8(ascii: "h"), UInt8(ascii: "H"), UInt8(ascii: "?"): result.actions.append(.help)
            case Self.prefix: result.forGuest.append(byte)
            default: break
            }
        }
        return result
    }
}
