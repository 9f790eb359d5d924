// A guest-physical address and page arithmetic on it. Nothing here knows what lies at an address.

/// An address in the guest's physical address space, in bytes.
public struct GuestPhysicalAddress: RawRepresentable, Hashable, Comparable, Sendable, Codable {
    /// The address in bytes from the start of guest-physical space.
    public var rawValue: UInt64

    /// Wraps a byte address.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Wraps a byte address.
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Orders by address.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// The address `offset` bytes further, wrapping at 2⁶⁴.
    @inlinable public static func + (a: Self, offset: UInt64) -> Self { Self(a.rawValue &+ offset) }
}

/// Size of the smallest page and the unit of dirty tracking, in bytes (SDM volume 3, section 4.1).
public let pageSize: UInt64 = 4096
/// log2 of `pageSize`.
public let pageShift: UInt64 = 12
