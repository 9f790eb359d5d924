// What devices tell the machine beyond interrupts: that the run is to end or to start over. The machine decides what
// becomes of it.

/// A request of the guest's that concerns the whole machine.
package enum MachineEvent: Equatable, Sendable {
    /// ACPI soft-off.
    case powerOff
    /// A reset through one of the PC's many lines for it.
    case reset
    /// A write to the exit port; the exit status of the process.
    case exit(status: UInt8)
    /// The guest kernel panicked.
    case panic
    /// The guest kernel crashed and its crash kernel has been loaded.
    case crashLoaded
}

/// Takes machine events. Called with the device lock held, on a vCPU's thread or the clock's: it may note the event and
/// kick vCPUs, and may not call into devices.
package typealias MachineEventSink = @Sendable (MachineEvent) -> Void
