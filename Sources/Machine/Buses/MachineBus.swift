// The machine as its vCPUs see it: `VirtualCPU.Bus` over the port bus, the MMIO bus and the interrupt controllers, with
// the device lock around every access.

import Memory
import VirtualCPU

/// Accesses that reached the bus.
package struct BusCounters: Equatable, Codable, Sendable {
    /// Port reads.
    package var portReads: UInt64 = 0
    /// Port writes.
    package var portWrites: UInt64 = 0
    /// MMIO reads.
    package var mmioReads: UInt64 = 0
    /// MMIO writes.
    package var mmioWrites: UInt64 = 0
    /// INTA cycles.
    package var acknowledges: UInt64 = 0
    /// EOIs broadcast to the I/O APIC.
    package var endOfInterrupts: UInt64 = 0
    /// Nothing counted.
    package init() {}
}

/// The bus of one machine.
// Sendable: everything mutable is guarded by the device lock.
package final class MachineBus: Bus, @unchecked Sendable {
    /// The device model's lock.
    package let lock: DeviceLock
    /// Ports; with the lock held, or before the machine runs.
    package let ports = PortBus()
    /// MMIO; with the lock held, or before the machine runs.
    package let mmio: MMIOBus
    /// Interrupt lines and controllers.
    package let interrupts: InterruptRouter
    // SAFETY: one value for the life of the bus; a pointer, since every access counts.
    private let counts = UnsafeMutablePointer<BusCounters>.allocate(capacity: 1)

    /// Makes a bus with nothing on it.
    package init(lock: DeviceLock, memory: GuestMemory, interrupts: InterruptRouter) {
        self.lock = lock
        self.interrupts = interrupts
        mmio = MMIOBus(memory: memory)
        counts.initialize(to: BusCounters())
    }

    deinit { counts.deallocate() }

    /// The counters so far.
    package var counters: BusCounters { lock.withLock { counts.pointee } }

    private static func isValid(_ size: Int) -> Bool { size == 1 || size == 2 || size == 4 || size == 8 }

    /// IN.
    package func readPort(_ port: UInt16, size: Int) -> UInt32 {
        guard Self.isValid(size), size <= 4 else { return .max }
        return lock.withLock {
            counts.pointee.portReads += 1
            return ports.read(port, size: size)
        }
    }

    /// OUT.
    package func writePort(_ port: UInt16, size: Int, value: UInt32) {
        guard Self.isValid(size), size <= 4 else { return }
        lock.withLock {
            counts.pointee.portWrites += 1
            ports.write(port, size: size, value: value)
        }
    }

    /// A read of an address without memory.
    package func readMMIO(_ address: UInt64, size: Int) -> UInt64 {
        guard Self.isValid(size) else { return .max }
        return lock.withLock {
            counts.pointee.mmioReads += 1
            return mmio.read(address, size: size)
        }
    }

    /// A write to an address without writable memory.
    package func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {
        guard Self.isValid(size) else { return }
        lock.withLock {
            counts.pointee.mmioWrites += 1
            mmio.write(address, size: size, value: value)
        }
    }

    /// The INTA cycle.
    package func acknowledgeInterrupt() -> UInt8 {
        lock.withLock {
            counts.pointee.acknowledges += 1
            return interrupts.acknowledge()
        }
    }

    /// The EOI of a level-triggered vector.
    package func endOfInterrupt(vector: UInt8) {
        lock.withLock {
            counts.pointee.endOfInterrupts += 1
            interrupts.endOfInterrupt(vector: vector)
        }
    }
}
