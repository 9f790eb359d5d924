// What travels between I/O APICs, devices and local APICs: an interrupt message, and the two encodings it comes in, MSI
// and the interrupt command register. Who a message is for is decided in `LocalAPIC+Delivery.swift`.

/// How a message is to be delivered (SDM volume 3, section 11.6.1, and 11.11.2 for MSIs).
public enum DeliveryMode: UInt8, Sendable {
    /// The vector, to every CPU addressed.
    case fixed = 0
    /// The vector, to one of the CPUs addressed.
    case lowestPriority = 1
    /// System management interrupt; not offered here.
    case smi = 2
    /// Non-maskable interrupt.
    case nmi = 4
    /// Resets the CPU as INIT does.
    case initialise = 5
    /// Startup IPI: an application processor begins at the vector's page.
    case startup = 6
    /// As if from the PIC pair, which then supplies the vector.
    case extINT = 7
}

/// A decoded interrupt message.
public struct InterruptMessage: Equatable, Sendable {
    /// APIC ID or message destination address, by `logical`; `broadcast` is for all.
    public var destination: UInt32
    /// The destination is a logical one (SDM volume 3, section 11.6.2.2).
    public var logical: Bool
    /// How to deliver; nil for the reserved encoding 3.
    public var mode: DeliveryMode?
    /// The vector; for startup IPIs the page number.
    public var vector: UInt8
    /// Level-triggered: the EOI is broadcast to the I/O APICs.
    public var levelTriggered: Bool
    /// Level 1; the de-assertion of a level-triggered message has no effect.
    public var asserted: Bool
    /// One of the CPUs addressed is enough (lowest priority, or an MSI's redirection hint).
    public var toAnyOne: Bool

    /// The destination that means every CPU. What comes with 8 bits writes it 0xff.
    public static let broadcast = UInt32.max

    private static func wide(_ destination: UInt32) -> UInt32 { destination == 0xff ? broadcast : destination }

    /// Decodes a message-signalled interrupt (SDM volume 3, section 11.11); nil if `address` is not one of a local
    /// APIC's.
    public init?(msiAddress address: UInt64, data: UInt32) {
        guard address >> 20 == 0xfee else { return nil }
        destination = Self.wide(UInt32(truncatingIfNeeded: address >> 12 & 0xff))
        logical = address & 1 << 2 != 0
        mode = DeliveryMode(rawValue: UInt8(data >> 8 & 7))
        vector = UInt8(truncatingIfNeeded: data)
        levelTriggered = data & 1 << 15 != 0
        asserted = !levelTriggered || data & 1 << 14 != 0
        toAnyOne = mode == .lowestPriority || address & 1 << 3 != 0
    }

    /// The message that a write of the interrupt command register sends.
    public init(_ icr: ICR) {
        destination = icr.x2APIC ? icr.destination : Self.wide(icr.destination)
        logical = icr.logicalDestination
        mode = icr.deliveryMode
        vector = icr.vector
        // IPIs are edge-triggered whatever the trigger-mode bit says; only INIT has a level de-assert.
        levelTriggered = false
        asserted = icr.deliveryMode != .initialise || icr.asserted || !icr.levelTriggered
        toAnyOne = icr.deliveryMode == .lowestPriority
    }
}

/// The interrupt command register (SDM volume 3, sections 11.6.1 and 11.12.9).
public struct ICR: Equatable, Sendable {
    /// The low 32 bits, the same in both modes.
    public var low: UInt32
    /// The destination: 8 bits in xAPIC mode, 32 in x2APIC mode.
    public var destination: UInt32
    /// Written in x2APIC mode.
    public var x2APIC: Bool

    /// Makes a register with these contents.
    public init(low: UInt32, destination: UInt32, x2APIC: Bool) {
        self.low = low
        self.destination = destination
        self.x2APIC = x2APIC
    }

    /// Destination shorthands.
    public enum Shorthand: UInt32, Sendable {
        /// The destination field counts.
        case none
        /// The sender.
        case toSelf
        /// Every CPU.
        case allIncludingSelf
        /// Every CPU but the sender.
        case allExcludingSelf
    }

    /// Bits 7:0.
    public var vector: UInt8 { UInt8(truncatingIfNeeded: low) }
    /// Bits 10:8; nil for the reserved encoding.
    public var deliveryMode: DeliveryMode? { DeliveryMode(rawValue: UInt8(low >> 8 & 7)) }
    /// Bit 11.
    public var logicalDestination: Bool { low & 1 << 11 != 0 }
    /// Bit 14: level 1.
    public var asserted: Bool { low & 1 << 14 != 0 }
    /// Bit 15.
    public var levelTriggered: Bool { low & 1 << 15 != 0 }
    /// Bits 19:18.
    public var shorthand: Shorthand { Shorthand(rawValue: low >> 18 & 3) ?? .none }
}
