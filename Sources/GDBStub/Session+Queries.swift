// `q` and `Q` packets: what the stub can do, its threads, its target description, and commands of the user's.

import VirtualCPU

extension Session {
    func handleQuery(_ packet: [UInt8]) {
        var rest = PacketReader(packet)
        if rest.skip("qSupported") {
            reportFeatures(rest)
        } else if rest.skip("QStartNoAckMode") {
            reply("OK")
            stopAcknowledging()
        } else if rest.skip("qXfer:features:read:") {
            readDescription(rest)
        } else if rest.skip("qfThreadInfo") {
            let threads = (1...target.vcpuCount).map { Hex.text(UInt64($0)) }
            reply("m" + threads.joined(separator: ","))
        } else if rest.skip("qsThreadInfo") {
            reply("l")
        } else if rest.skip("qThreadExtraInfo,") {
            describeThread(rest)
        } else if rest.skip("qC") {
            reply("QC" + Hex.text(UInt64(current) + 1))
        } else if rest.skip("qAttached") {
            // The machine was there before GDB: when GDB quits it detaches.
            reply("1")
        } else if rest.skip("qSymbol") {
            reply("OK")
        } else if rest.skip("qRcmd,") {
            runCommand(rest)
        } else {
            reply("")
        }
    }

    private func reportFeatures(_ packet: PacketReader) {
        var rest = packet
        _ = rest.skip(":")
        while !rest.isAtEnd {
            let feature = String(decoding: rest.field(until: ";"), as: UTF8.self)
            if feature == "swbreak+" { knowsSoftwareBreakpoints = true }
            if feature == "hwbreak+" { knowsHardwareBreakpoints = true }
        }
        reply(
            "PacketSize=\(Hex.text(UInt64(PacketDecoder.limit)));QStartNoAckMode+;qXfer:features:read+;vContSupported+;"
                + "swbreak+;hwbreak+;binary-upload+;error-message+")
    }

    /// `ANNEX:OFFSET,LENGTH`
    private func readDescription(_ packet: PacketReader) {
        var rest = packet
        let annex = String(decoding: rest.field(until: ":"), as: UTF8.self)
        guard annex == "target.xml", let offset = rest.number(), rest.skip(","), let length = rest.number() else {
            return reply("E00")
        }
        if offset == 0 { description = offered }
        let document = Array(description.xml.utf8).dropFirst(Int(min(offset, 1 << 20)))
        let part = document.prefix(Int(min(length, UInt64(PacketDecoder.limit / 2 - 1))))
        reply([UInt8(ascii: part.count < document.count ? "m" : "l")] + PacketEncoder.escape(part))
    }

    private func describeThread(_ packet: PacketReader) {
        var rest = packet
        guard let vcpu = vcpu(thread: rest.number()) else { return reply("E01") }
        guard let state = state(vcpu) else { return }
        reply(Hex.text("vCPU \(vcpu), \(state.modeName), ring \(state.cpl), \(state.activityName)".utf8))
    }

    private func runCommand(_ packet: PacketReader) {
        guard let text = Hex.data(packet.rest) else { return reply("E01") }
        console(Monitor(session: self).run(String(decoding: text, as: UTF8.self)))
        reply("OK")
    }
}
