// What a virtual machine is made of, as a value: filled in, validated, then handed to `VirtualMachine`.

import Foundation
import GDBStub

/// The definition of a virtual machine.
///
/// Every property but the boot loader has a default. The same definition runs on any engine.
public struct VirtualMachineConfiguration: Sendable {
    /// What the machine starts with; there is no default.
    public var bootLoader: (any BootLoader)?
    /// Guest RAM in bytes: a multiple of 4 KiB, within `allowedMemorySizes`.
    public var memorySize: UInt64 = 512 << 20
    /// Number of vCPUs, within `allowedCPUCounts`.
    public var cpuCount = 1
    /// The CPU model that CPUID describes: one of `cpuModels`, then, after commas, features to add (+FEATURE) or to leave
    /// out (-FEATURE), and vendor=intel or vendor=amd for another vendor's name and ways.
    public var cpuModel = "host"
    /// The interface by which a guest that knows of it saves itself sensitive instructions.
    public var paravirtualInterface = ParavirtualInterface.kvm
    /// Which engine runs the guest's instructions.
    public var engine = EngineSelection.auto
    /// What drives the machine's time.
    public var clockSource = ClockSource.host
    /// The CMOS clock's date when the machine starts; nil takes the host's, or with counted time a fixed one.
    public var initialDate: Date?
    /// What the first serial port (COM1, a 16550A) is wired to; nil leaves it unconnected.
    public var serialPort: (any SerialPortAttachment)?
    /// Whether the serial port's input waits until the guest has lowered DTR and raised it again, for a guest that shows in
    /// this way when it is ready (on Linux, `stty 0` and then a speed). Without it, what arrives early meets a terminal
    /// that is not set up.
    public var holdsSerialInput = false
    /// How a value written to the exit port becomes an exit status.
    public var exitPortMode = ExitPortMode.value
    /// What happens when the guest resets the machine.
    public var resetBehavior = ResetBehavior.stop
    /// Where events inside the machine are written down, if they are.
    public var trace: TraceFile?

    /// Whether the engine measures how long its stages take, if it has any: it costs a translator a little.
    public var timesStages = false
    /// Names for guest addresses in the file by which Linux perf names generated code (/tmp/perf-PID.map); nil for no file.
    /// Only for the engine `translate`.
    public var performanceMap: (@Sendable (UInt64) -> String?)?

    /// Where the machine waits for a debugger (GDB, by its remote serial protocol); nil for nowhere.
    public var debugServer: DebugServerConfiguration?

    /// A configuration with the defaults and nothing to boot.
    public init() {}

    /// The memory sizes that a machine may have, in bytes. A PC has at least its first MiB; the upper bound is this
    /// version's, the CPU models could address more.
    public static let allowedMemorySizes: ClosedRange<UInt64> = 1 << 20...1 << 39

    /// How many vCPUs a machine may have.
    public static let allowedCPUCounts = 1...64

    /// The names of the CPU models.
    public static let cpuModels = ["host", "x86-64-v1", "x86-64-v2", "x86-64-v3", "max"]
}

/// How a machine serves a debugger. Whoever can connect owns the guest.
public struct DebugServerConfiguration: Sendable, Equatable {
    /// The address to listen on, by default this host's own, and the TCP port.
    public var endpoint: DebugEndpoint
    /// Whether the guest does not begin before a debugger lets it.
    public var waitsForDebugger: Bool

    /// Makes a configuration.
    public init(endpoint: DebugEndpoint, waitsForDebugger: Bool = false) {
        self.endpoint = endpoint
        self.waitsForDebugger = waitsForDebugger
    }
}

/// An interface between a hypervisor and guests that know they have one. Any engine offers it.
public enum ParavirtualInterface: String, Sendable, CaseIterable {
    /// KVM's: its signature in CPUID, its clock, steal time and hypercalls (Linux, Documentation/virt/kvm/x86).
    case kvm
    /// None: CPUID names Trapeze and offers nothing.
    case off
}

/// What drives a machine's time.
public enum ClockSource: String, Sendable, CaseIterable {
    /// The host's monotonic clock.
    case host
    /// Counted guest instructions, one nanosecond each: two runs of the same guest are identical. vCPUs run one at a time.
    case instructions
}

/// How a value `v` that the guest writes to the exit port 0xf4 becomes the run's exit status.
public enum ExitPortMode: String, Sendable, CaseIterable {
    /// The low 8 bits of `v`; 1 if they are 0 and `v` is not.
    case value
    /// QEMU's isa-debug-exit: (`v` << 1) | 1, its low 8 bits.
    case isaDebug = "isa-debug"

    /// The exit status for a written value.
    public func status(of value: UInt32) -> UInt8 {
        switch self {
        case .value:
            let low = UInt8(truncatingIfNeeded: value)
            return low == 0 && value != 0 ? 1 : low
        case .isaDebug:
            return UInt8(truncatingIfNeeded: value << 1 | 1)
        }
    }
}

/// What a reset by the guest does.
public enum ResetBehavior: String, Sendable, CaseIterable {
    /// The machine starts over, as a PC does.
    case restart
    /// The run ends.
    case stop
}
