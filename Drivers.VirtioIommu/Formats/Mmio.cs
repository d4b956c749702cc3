// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 section 4.2.2 (MMIO device register layout), 2.1 (device status), 2.2 and 6 (feature bits), and the
// IOMMU device's section "Device configuration layout".

/// <summary>Offsets of the virtio-mmio registers, in bytes.</summary>
internal static class MmioRegister
{
    public const int MagicValue = 0x000;
    public const int Version = 0x004;
    public const int DeviceId = 0x008;
    public const int VendorId = 0x00c;
    public const int DeviceFeatures = 0x010;
    public const int DeviceFeaturesSel = 0x014;
    public const int DriverFeatures = 0x020;
    public const int DriverFeaturesSel = 0x024;
    public const int QueueSel = 0x030;
    public const int QueueNumMax = 0x034;
    public const int QueueNum = 0x038;
    public const int QueueReady = 0x044;
    public const int QueueNotify = 0x050;
    public const int InterruptStatus = 0x060;
    public const int InterruptAck = 0x064;
    public const int Status = 0x070;
    public const int QueueDescLow = 0x080;
    public const int QueueDescHigh = 0x084;
    public const int QueueDriverLow = 0x090;
    public const int QueueDriverHigh = 0x094;
    public const int QueueDeviceLow = 0x0a0;
    public const int QueueDeviceHigh = 0x0a4;
    public const int ConfigGeneration = 0x0fc;
    public const int Config = 0x100;
    public const uint Magic = 0x74726976;
    public const uint ModernVersion = 2;
    public const uint IommuDeviceId = 23;
}

/// <summary>Bits of the register <see cref="MmioRegister.Status"/>.</summary>
internal static class DeviceStatus
{
    public const uint Acknowledge = 1;
    public const uint Driver = 2;
    public const uint DriverOk = 4;
    public const uint FeaturesOk = 8;
    public const uint NeedsReset = 64;
    public const uint Failed = 128;
}

/// <summary>Feature bits, as masks over the 64-bit feature set.</summary>
internal static class FeatureBits
{
    public const ulong InputRange = 1UL << 0;
    public const ulong DomainRange = 1UL << 1;
    public const ulong MapUnmap = 1UL << 2;
    public const ulong Bypass = 1UL << 3;
    public const ulong Probe = 1UL << 4;

    /// <summary>Standard meaning of bit 5; proposals A to C use the same bit for attaching tables.</summary>
    public const ulong Mmio = 1UL << 5;
    public const ulong BypassConfig = 1UL << 6;

    /// <summary>Attaching tables in proposal B: the standard's MMIO bit.</summary>
    public const ulong ProposalBAttachTable = 1UL << 5;

    /// <summary>Attaching tables in proposal E.</summary>
    public const ulong ProposalEAttachTable = 1UL << 7;

    /// <summary>VIRTIO_F_VERSION_1: the device follows virtio 1.x.</summary>
    public const ulong Version1 = 1UL << 32;
}

/// <summary>Offsets in the device's configuration space, in bytes from <see cref="MmioRegister.Config"/>.</summary>
internal static class ConfigOffset
{
    public const int PageSizeMask = 0;
    public const int InputRangeStart = 8;
    public const int InputRangeEnd = 16;
    public const int DomainRangeStart = 24;
    public const int DomainRangeEnd = 28;
    public const int ProbeSize = 32;
    public const int Bypass = 36;
    public const int Bytes = 40;
}

/// <summary>Queue numbers of the IOMMU device.</summary>
internal static class QueueIndex
{
    public const int Request = 0;
    public const int Event = 1;
    public const int Count = 2;
}
