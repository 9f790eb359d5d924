// A guest of our own, built with the package and embedded in it: its image and what a right machine makes of it.
//
// The guests themselves are the folders beside this one. Each is compiled by the `GuestBuilder` plugin, which
// generates `EmbeddedGuest.NAME` for it and `EmbeddedGuest.all`. This module knows no machine and no engine: it says
// what there is to run, and what must come of it.

/// A small guest that is part of Trapeze.
public struct EmbeddedGuest: Sendable, Identifiable {
    /// How an image is brought into a machine and entered.
    public enum Kind: Sendable, Hashable {
        /// A ROM that ends at 4 GiB, with a copy that ends at 1 MiB; the CPU starts at its reset vector,
        /// 0xffff_fff0, in real mode (Intel SDM volume 3, 11.1.4 "First Instruction Executed").
        case firmware
        /// A Multiboot 1 kernel in the address-override form (Multiboot Specification 0.6.96, 3.1.3), entered in
        /// 32-bit protected mode.
        case multiboot
        /// Bytes copied to a guest-physical address and entered in real mode with CS.base 0 at `entry`.
        case flat(loadAddress: UInt64, entry: UInt64)
    }

    /// What the guest needs from the machine that runs it.
    public struct Requirements: Sendable, Hashable {
        /// Least guest RAM, in bytes.
        public let memory: UInt64
        /// Least number of vCPUs.
        public let processors: Int
        /// CPU features that it uses without asking CPUID, by the names of `/proc/cpuinfo`.
        public let features: [String]
    }

    /// The guest's name: what a user writes on the command line, and the name of its folder.
    public let name: String
    /// What the guest does, in one line.
    public let summary: String
    /// How its image is loaded and entered.
    public let kind: Kind
    /// What it prints and how it ends on a machine that is right.
    public let expected: Expectation
    /// What it needs.
    public let requirements: Requirements

    private let base64: StaticString

    init(
        name: String, summary: String, kind: Kind, expected: Expectation, requirements: Requirements,
        base64: StaticString
    ) {
        self.name = name
        self.summary = summary
        self.kind = kind
        self.expected = expected
        self.requirements = requirements
        self.base64 = base64
    }

    /// The name.
    public var id: String { name }

    /// The image's bytes, decoded anew at each call.
    ///
    /// - Complexity: O(*n*) in the size of the image, which is 64 KiB or less for the guests here.
    public var image: [UInt8] {
        base64.withUTF8Buffer { decodeBase64($0) }
    }

    /// The guest of that name, or nil if there is none.
    public static func named(_ name: String) -> EmbeddedGuest? {
        all.first { $0.name == name }
    }
}

/// Decodes what `guest-embedder` encoded: standard base64 in one line. Other characters are skipped.
private func decodeBase64(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var pending: UInt32 = 0
    var bits = 0
    for character in text {
        let value: UInt8
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        default: continue
        }
        pending = pending << 6 | UInt32(value)
        bits += 6
        if bits >= 8 {
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
        }
    }
    return bytes
}
