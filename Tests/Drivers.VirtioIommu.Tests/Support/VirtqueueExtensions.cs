// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

internal static class VirtqueueExtensions
{
    /// <summary>Writes one descriptor, which the driver never does alone.</summary>
    public static void SetDescriptor(
        this Virtqueue ring, int index, ulong address, int bytes, ushort flags, int next) => ring.Store(
        ring.Descriptors + (ulong)(index * VirtqueueLayout.DescriptorBytes),
        [address, (uint)bytes | ((ulong)flags << 32) | ((ulong)next << 48)]);
}
