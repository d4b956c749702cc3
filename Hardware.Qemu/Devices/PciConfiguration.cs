// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Devices;

/// <summary>PCI configuration space of one machine.</summary>
internal interface IPciConfiguration
{
    /// <param name="offset">Byte offset, a multiple of 4.</param>
    uint Read(RequesterId requester, int offset);

    void Write(RequesterId requester, int offset, uint value);
}

/// <summary>x86: address and data ports 0xCF8 and 0xCFC (PCI Local Bus 3.0, section 3.2.2.3.2).</summary>
internal sealed class PortPciConfiguration(QTestClient client) : IPciConfiguration
{
    public uint Read(RequesterId requester, int offset) =>
        (uint)client.Run(Address(requester, offset), QTestCommand.In32(0xCFC));

    public void Write(RequesterId requester, int offset, uint value) =>
        client.Run(Address(requester, offset), QTestCommand.Out32(0xCFC, value));

    private static QTestCommand Address(RequesterId requester, int offset)
    {
        const uint Enable = 1u << 31;
        return QTestCommand.Out32(0xCF8, Enable | (requester.Value << 8) | (uint)offset);
    }
}

/// <summary>Memory-mapped: 4 KiB a function (PCI Express 5.0, section 7.2.2).</summary>
internal sealed class MappedPciConfiguration(QTestClient client, ulong window) : IPciConfiguration
{
    public uint Read(RequesterId requester, int offset) =>
        client.Read32(window + ((ulong)requester.Value << 12) + (ulong)offset);

    public void Write(RequesterId requester, int offset, uint value) =>
        client.Write32(window + ((ulong)requester.Value << 12) + (ulong)offset, value);
}
