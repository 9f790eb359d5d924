// The port bus: which device answers at which of the 65,536 ports, in which widths. Accesses wider than a device takes
// are split, as the ISA bus does. Guarded by the device lock.

/// A device behind ports. Offsets count from where its claim says, never from the port.
package protocol PortDevice: AnyObject {
    /// IN of `size` bytes (a width that the claim declared).
    func readPort(_ offset: UInt16, size: Int) -> UInt32
    /// OUT of the low `size` bytes of `value`.
    func writePort(_ offset: UInt16, size: Int, value: UInt32)
}

/// The port bus of one machine.
package final class PortBus {
    private struct Claim {
        let name: String
        let ports: ClosedRange<UInt16>
        let sizes: AccessSizes

        var description: String { "\(name) (ports \(ports.lowerBound.hex)–\(ports.upperBound.hex))" }
    }

    /// What an access needs of a claim. Closures, since devices have weak references, which makes keeping them for a moment
    /// slow; in a class, so that not even closures are kept for a call.
    private final class Entry {
        let last: UInt16
        /// Device's offset minus port.
        let shift: UInt16
        let read: (UInt16, Int) -> UInt32
        let write: (UInt16, Int, UInt32) -> Void

        init(
            last: UInt16, shift: UInt16, read: @escaping (UInt16, Int) -> UInt32,
            write: @escaping (UInt16, Int, UInt32) -> Void
        ) {
            (self.last, self.shift, self.read, self.write) = (last, shift, read, write)
        }
    }

    private static let ports = 1 << 16
    /// Claims by handle; handle 0 is nobody.
    private var claims: [Claim?] = [nil]
    // SAFETY: as many as `claims`, initialized; replaced by a larger allocation when a claim is added.
    private var entries = UnsafeMutablePointer<Unmanaged<Entry>>.allocate(capacity: 1)
    /// What was taken away.
    private var retired: [Entry] = []
    /// For byte, word and dword accesses each, the handle at every port.
    // SAFETY: allocated in init, freed in deinit, indexed by (0…2) × 65,536 + a UInt16 only.
    private let table: UnsafeMutablePointer<UInt16>

    /// Makes an empty bus.
    package init() {
        table = .allocate(capacity: 3 * Self.ports)
        table.initialize(repeating: 0, count: 3 * Self.ports)
        entries.initialize(to: .passRetained(Self.nobody()))
    }

    deinit {
        table.deallocate()
        for n in claims.indices { entries[n].release() }
        entries.deallocate()
    }

    private static func nobody() -> Entry { Entry(last: 0, shift: 0, read: { _, _ in .max }, write: { _, _, _ in }) }

    // MARK: Layout

    /// Gives `ports` to a device, in the given widths; the first port is the device's `offset`. Two devices may share a
    /// port in different widths, as 0xcf8 (PCI, 4 bytes) and 0xcf9 (reset, 1 byte) do.
    package func claim(
        _ ports: ClosedRange<UInt16>, name: String, sizes: AccessSizes = .byte, offset: UInt16 = 0,
        device: any PortDevice
    ) throws(BusError) {
        let claim = Claim(name: name, ports: ports, sizes: sizes)
        guard !sizes.intersection(.upToDword).isEmpty, AccessSizes.upToDword.isSuperset(of: sizes) else {
            throw .invalid(claim.description)
        }
        for existing in claims {
            guard let existing, existing.ports.overlaps(ports), !existing.sizes.isDisjoint(with: sizes) else {
                continue
            }
            throw .overlap(new: claim.description, existing: existing.description)
        }
        guard claims.count <= Int(UInt16.max) else { throw .full(claim.description) }
        fill(claim, with: UInt16(claims.count))
        append(
            Entry(
                last: ports.upperBound, shift: offset &- ports.lowerBound,
                read: { device.readPort($0, size: $1) }, write: { device.writePort($0, size: $1, value: $2) }))
        claims.append(claim)
    }

    /// Takes the claims of a name away (a BAR that moves). Handles are not reused.
    package func release(name: String) {
        for (handle, claim) in claims.enumerated() {
            guard let claim, claim.name == name else { continue }
            fill(claim, with: 0)
            claims[handle] = nil
            // It may be the one that is at work.
            retired.append(entries[handle].takeRetainedValue())
            entries[handle] = .passRetained(Self.nobody())
        }
    }

    private func append(_ entry: Entry) {
        let larger = UnsafeMutablePointer<Unmanaged<Entry>>.allocate(capacity: claims.count + 1)
        larger.moveInitialize(from: entries, count: claims.count)
        (larger + claims.count).initialize(to: .passRetained(entry))
        entries.deallocate()
        entries = larger
    }

    private func fill(_ claim: Claim, with handle: UInt16) {
        for row in 0..<3 where claim.sizes.contains(size: 1 << row) {
            for port in claim.ports { table[row * Self.ports + Int(port)] = handle }
        }
    }

    /// One line for each claim, by port.
    package var layout: [String] {
        claims.compactMap { $0 }.sorted { $0.ports.lowerBound < $1.ports.lowerBound }.map(\.description)
    }

    // MARK: Access

    /// The claim that takes an access whole.
    private func entry(_ port: UInt16, size: Int) -> Unmanaged<Entry>? {
        let handle = table[size.trailingZeroBitCount * Self.ports + Int(port)]
        guard handle != 0 else { return nil }
        let entry = entries[Int(handle)]
        return entry._withUnsafeGuaranteedRef { Int($0.last) - Int(port) >= size - 1 } ? entry : nil
    }

    /// IN: `size` is 1, 2 or 4.
    package func read(_ port: UInt16, size: Int) -> UInt32 {
        let mask = UInt32.max >> UInt32(32 - size * 8)
        if let entry = entry(port, size: size) {
            return entry._withUnsafeGuaranteedRef { $0.read(port &+ $0.shift, size) } & mask
        }
        let half = size >> 1
        guard half > 0 else { return 0xff }
        let low = read(port, size: half)
        // Above the last port there is nothing.
        let (next, beyond) = port.addingReportingOverflow(UInt16(half))
        let high = beyond ? mask : read(next, size: half)
        return (low | high << UInt32(half * 8)) & mask
    }

    /// OUT: `size` is 1, 2 or 4.
    package func write(_ port: UInt16, size: Int, value: UInt32) {
        if let entry = entry(port, size: size) {
            let mask = UInt32.max >> UInt32(32 - size * 8)
            return entry._withUnsafeGuaranteedRef { $0.write(port &+ $0.shift, size, value & mask) }
        }
        let half = size >> 1
        guard half > 0 else { return }
        write(port, size: half, value: value)
        let (next, beyond) = port.addingReportingOverflow(UInt16(half))
        if !beyond { write(next, size: half, value: value >> UInt32(half * 8)) }
    }
}
