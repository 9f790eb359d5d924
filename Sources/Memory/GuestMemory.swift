// Guest RAM and ROM: who owns it, where it lies in guest-physical space, and the one way in which loaders and devices
// write to it. vCPUs go straight to host memory through their engines; everyone else comes through here.

import CPrimitives
import Foundation
import Synchronization

/// A range of guest-physical memory backed by host memory. Valid while its `GuestMemory` lives.
public struct MemoryRegion: Sendable {
    /// First guest-physical address; page-aligned.
    public let base: GuestPhysicalAddress
    /// Size in bytes; a multiple of the page size.
    public let size: UInt64
    // SAFETY: the mapping lives as long as the owning `GuestMemory`; racing access goes through relaxed atomics.
    /// Where its bytes are in this process.
    nonisolated(unsafe) public let host: UnsafeMutableRawPointer
    /// One byte per page, non-zero when the page was written since the flag was last cleared. vCPUs set it when they
    /// first gain write access to a page.
    nonisolated(unsafe) public let dirty: UnsafeMutablePointer<UInt8>
    /// ROM: guest writes go to the bus instead.
    public let readOnly: Bool

    /// Whether `address` lies inside.
    @inlinable public func contains(_ address: GuestPhysicalAddress) -> Bool {
        address.rawValue &- base.rawValue < size
    }
}

/// Errors of laying out or accessing guest memory.
public enum GuestMemoryError: Error, Equatable, CustomStringConvertible {
    /// The host gave no memory of this size (bytes).
    case cannotAllocate(size: UInt64, errno: Int32)
    /// An access outside of guest memory.
    case outOfRange(address: GuestPhysicalAddress, count: Int)
    /// A region overlaps another.
    case overlap(base: GuestPhysicalAddress, size: UInt64)

    /// The message in one line.
    public var description: String {
        switch self {
        case .cannotAllocate(let size, let errno):
            "the host cannot provide \(size) bytes of guest memory: \(String(cString: strerror(errno)))"
        case .outOfRange(let address, let count):
            "\(count) bytes at guest-physical address 0x\(String(address.rawValue, radix: 16)) are outside of memory"
        case .overlap(let base, let size):
            "a region of \(size) bytes at 0x\(String(base.rawValue, radix: 16)) overlaps another"
        }
    }
}

/// Guest memory of one VM.
public final class GuestMemory: Sendable {
    /// Guest-physical space from here to 4 GiB holds no RAM: PCI windows, APICs, firmware.
    public static let holeStart: UInt64 = 0xc000_0000
    /// RAM that does not fit below the hole goes on here.
    public static let highStart: UInt64 = 0x1_0000_0000

    /// RAM in bytes.
    public let size: UInt64

    private struct State {
        var regions: [MemoryRegion] = []
        var observers: [@Sendable (GuestPhysicalAddress, UInt64) -> Void] = []
    }
    private let state = Mutex(State())
    /// The memfd behind RAM, for engines that map parts of it elsewhere in the process.
    public let descriptor: Int32

    /// Lays out `size` bytes of RAM (rounded up to a page) from address 0, continued above 4 GiB.
    public init(size: UInt64) throws(GuestMemoryError) {
        // Larger than any host: refused before arithmetic on it can overflow.
        guard size > 0, size < 1 << 46 else { throw .cannotAllocate(size: size, errno: ENOMEM) }
        self.size = (size + pageSize - 1) & ~(pageSize - 1)
        descriptor = tz_memfd_create("guest-ram")
        guard descriptor >= 0 else { throw .cannotAllocate(size: size, errno: -descriptor) }
        guard ftruncate(descriptor, Int(self.size)) == 0 else {
            let error = errno
            close(descriptor)
            throw .cannotAllocate(size: size, errno: error)
        }
        let low = min(self.size, Self.holeStart)
        do {
            try addRegion(base: 0, size: low, descriptor: descriptor, offset: 0, readOnly: false)
            if self.size > low {
                try addRegion(
                    base: Self.highStart, size: self.size - low, descriptor: descriptor, offset: low, readOnly: false)
            }
        } catch {
            releaseRegions()
            close(descriptor)
            throw error
        }
    }

    deinit {
        releaseRegions()
        close(descriptor)
    }

    /// All regions, in the order in which they were added.
    public var regions: [MemoryRegion] { state.withLock { $0.regions } }

    /// Adds a read-only region (firmware) with the given contents, padded with zeros to a page.
    @discardableResult
    public func addROM(base: GuestPhysicalAddress, contents: [UInt8]) throws(GuestMemoryError) -> MemoryRegion {
        let size = (UInt64(contents.count) + pageSize - 1) & ~(pageSize - 1)
        let region = try addRegion(base: base.rawValue, size: size, descriptor: -1, offset: 0, readOnly: true)
        contents.withUnsafeBytes { source in
            if let start = source.baseAddress { region.host.copyMemory(from: start, byteCount: source.count) }
        }
        return region
    }

    /// Calls `observer` with (address, count) after every write that does not come from a vCPU.
    public func observeWrites(_ observer: @escaping @Sendable (GuestPhysicalAddress, UInt64) -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    /// Copies `count` bytes out of memory.
    public func read(at address: GuestPhysicalAddress, count: Int) throws(GuestMemoryError) -> [UInt8] {
        let source = try hostPointer(address, count: count)
        return [UInt8](UnsafeRawBufferPointer(start: source, count: count))
    }

    /// Copies bytes into memory (RAM or ROM), marks the pages dirty and tells the observers.
    public func write(_ bytes: [UInt8], at address: GuestPhysicalAddress) throws(GuestMemoryError) {
        guard !bytes.isEmpty else { return }
        try write(count: bytes.count, at: address) { target in
            bytes.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    /// Lets `body` fill `count` bytes of memory in place (reading a file into it, say), marks the pages dirty and tells
    /// the observers.
    public func write<R>(
        count: Int, at address: GuestPhysicalAddress, _ body: (UnsafeMutableRawBufferPointer) -> R
    ) throws(GuestMemoryError) -> R {
        let target = try hostPointer(address, count: count)
        let result = body(UnsafeMutableRawBufferPointer(start: target, count: count))
        markDirty(address, count: UInt64(count))
        for observer in state.withLock({ $0.observers }) { observer(address, UInt64(count)) }
        return result
    }

    /// Reads a little-endian integer.
    public func readInteger<T: FixedWidthInteger>(
        _ type: T.Type, at address: GuestPhysicalAddress
    ) throws(GuestMemoryError) -> T {
        let source = try hostPointer(address, count: MemoryLayout<T>.size)
        return T(littleEndian: source.loadUnaligned(as: T.self))
    }

    /// Writes a little-endian integer.
    public func writeInteger<T: FixedWidthInteger>(
        _ value: T, at address: GuestPhysicalAddress
    ) throws(GuestMemoryError) {
        try write(count: MemoryLayout<T>.size, at: address) { target in
            withUnsafeBytes(of: value.littleEndian) { target.copyMemory(from: $0) }
        }
    }

    /// Host memory behind [address, address + count), which must lie in one region.
    public func hostPointer(
        _ address: GuestPhysicalAddress, count: Int
    ) throws(GuestMemoryError) -> UnsafeMutableRawPointer {
        let found = state.withLock { state in state.regions.first { $0.contains(address) } }
        guard let region = found, count >= 0 else { throw .outOfRange(address: address, count: count) }
        let offset = address.rawValue - region.base.rawValue
        guard UInt64(count) <= region.size - offset else { throw .outOfRange(address: address, count: count) }
        return region.host + Int(offset)
    }

    // lseek(2)'s SEEK_DATA and SEEK_HOLE, which Linux has and POSIX does not.
    private static let seekData: Int32 = 3
    private static let seekHole: Int32 = 4

    /// Where a region of RAM holds anything: ranges of whole pages, from its start, outside of which the host has provided no
    /// memory yet and all bytes are 0. Of a region without a file behind it: all of it.
    public func populatedRanges(of region: MemoryRegion) -> [Range<UInt64>] {
        guard !region.readOnly else { return [0..<region.size] }
        let start = region.base.rawValue == Self.highStart ? Int(Self.holeStart) : 0
        var ranges: [Range<UInt64>] = []
        var position = start
        while position < start + Int(region.size) {
            let first = lseek(descriptor, position, Self.seekData)
            guard first >= 0, first < start + Int(region.size) else { break }
            let end = lseek(descriptor, first, Self.seekHole)
            guard end > first else { break }
            let page = Int(pageSize)
            let last = min((end + page - 1) & ~(page - 1), start + Int(region.size))
            ranges.append(UInt64(first & ~(page - 1) - start)..<UInt64(last - start))
            position = last
        }
        return ranges
    }

    // MARK: Regions

    @discardableResult
    private func addRegion(
        base: UInt64, size: UInt64, descriptor: Int32, offset: UInt64, readOnly: Bool
    ) throws(GuestMemoryError) -> MemoryRegion {
        let (end, wraps) = base.addingReportingOverflow(size)
        let overlaps = state.withLock { state in
            state.regions.contains { $0.base.rawValue < end && base < $0.base.rawValue + $0.size }
        }
        guard !wraps, !overlaps else { throw .overlap(base: GuestPhysicalAddress(base), size: size) }
        let flags = descriptor < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED
        let pages = Int(size / pageSize)
        guard
            let host = mmap(
                nil, Int(size), PROT_READ | PROT_WRITE, flags | Int32(MAP_NORESERVE), descriptor, Int(offset)),
            host != MAP_FAILED
        else { throw .cannotAllocate(size: size, errno: errno) }
        guard
            let dirty = mmap(
                nil, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | Int32(MAP_NORESERVE), -1, 0),
            dirty != MAP_FAILED
        else {
            let error = errno
            munmap(host, Int(size))
            throw .cannotAllocate(size: size, errno: error)
        }
        let region = MemoryRegion(
            base: GuestPhysicalAddress(base), size: size, host: host,
            dirty: dirty.bindMemory(to: UInt8.self, capacity: pages), readOnly: readOnly)
        state.withLock { $0.regions.append(region) }
        return region
    }

    private func releaseRegions() {
        state.withLock { state in
            for region in state.regions {
                munmap(region.host, Int(region.size))
                munmap(region.dirty, Int(region.size / pageSize))
            }
            state.regions = []
        }
    }

    private func markDirty(_ address: GuestPhysicalAddress, count: UInt64) {
        guard count > 0, let region = regions.first(where: { $0.contains(address) }) else { return }
        let offset = address.rawValue - region.base.rawValue
        for page in offset >> pageShift...(offset + count - 1) >> pageShift { tz_store8(region.dirty + Int(page), 1) }
    }
}
