// The checks that need neither memory nor a vCPU: cheap, and done before anything is allocated. What only parsing the
// boot files can tell is found by `VirtualMachine.init`, as the same type of error.

import Foundation

extension VirtualMachineConfiguration {
    /// Checks the configuration.
    ///
    /// - Throws: `ConfigurationError` for the first thing found wrong.
    public func validate() throws(ConfigurationError) {
        try validateMachine()
        guard let bootLoader else {
            throw ConfigurationError(.invalidValue, "nothing to boot: the configuration has no boot loader")
        }
        try bootLoader.validate()
    }

    /// Checks everything but the boot loader, for programs to which getting what boots is costly.
    ///
    /// - Throws: `ConfigurationError` for the first thing found wrong.
    public func validateMachine() throws(ConfigurationError) {
        let counts = Self.allowedCPUCounts
        guard counts.contains(cpuCount) else {
            throw ConfigurationError(
                .invalidValue,
                "a machine has \(counts.lowerBound) to \(counts.upperBound) vCPUs; \(cpuCount) were asked for")
        }
        try validateMemory()
        let model = cpuModel.prefix { $0 != "," }.description
        guard Self.cpuModels.contains(model) else {
            throw ConfigurationError(
                .invalidValue,
                "unknown CPU model '\(model)'\(suggestion(for: model, among: Self.cpuModels)); known: "
                    + Self.cpuModels.joined(separator: ", "))
        }
        let decision = try EngineRegistry.decide(engine)
        if let trace { try decision.requireTrace(of: trace.events) }
    }

    private func validateMemory() throws(ConfigurationError) {
        let allowed = Self.allowedMemorySizes
        guard memorySize >= allowed.lowerBound else {
            throw ConfigurationError(
                .invalidValue,
                "\(describeSize(memorySize)) of memory is too little: a PC has at least "
                    + describeSize(allowed.lowerBound))
        }
        guard memorySize <= allowed.upperBound else {
            throw ConfigurationError(
                .invalidValue,
                "\(describeSize(memorySize)) of memory is too much: a machine has at most "
                    + describeSize(allowed.upperBound))
        }
        guard memorySize % 4096 == 0 else {
            throw ConfigurationError(
                .invalidValue, "\(memorySize) bytes of memory are not a whole number of 4-KiB pages")
        }
    }
}

/// A size in the largest binary unit that gives a whole number: "512 MiB".
public func describeSize(_ bytes: UInt64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var (value, unit) = (bytes, 0)
    while value != 0, value % 1024 == 0, unit + 1 < units.count { (value, unit) = (value / 1024, unit + 1) }
    return "\(value) \(units[unit])"
}
