// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 section 2.7, Split Virtqueues: descriptor table 2.7.5, available ring 2.7.6, used ring 2.7.8.

/// <summary>Where the three parts of a split virtqueue lie, relative to its first byte.</summary>
internal static class VirtqueueLayout
{
    /// <summary>Largest queue, in descriptors (section 2.7).</summary>
    public const int MaxSize = 32768;

    public const int DescriptorBytes = 16;
    public const ushort FlagNext = 1;
    public const ushort FlagWrite = 2;
    public const ushort FlagIndirect = 4;

    /// <summary>Available ring flag: the device need not raise an interrupt; this driver polls.</summary>
    public const ushort AvailNoInterrupt = 1;

    /// <summary>Offset of the available ring: flags u16, idx u16, ring u16[size], used_event u16.</summary>
    public static int Available(int size) => DescriptorBytes * size;

    /// <summary>Offset of the used ring: flags u16, idx u16, {id u32, len u32}[size], avail_event u16.</summary>
    /// <remarks>On a cache line of its own: where the device does not snoop, a write-back of the available ring must
    /// not carry old contents of the used ring along.</remarks>
    public static int Used(int size) => (Available(size) + 6 + (2 * size) + 63) & ~63;

    /// <summary>Bytes of all three parts, a multiple of 8.</summary>
    public static int Bytes(int size) => (Used(size) + 6 + (8 * size) + 7) & ~7;
}
