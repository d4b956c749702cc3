// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tables;

/// <summary>What stores need before anything that follows may rely on them.</summary>
internal static class Publishing
{
    /// <summary>Writes stores back and orders them ahead of all that follows, commands included. A walker that snoops
    /// needs no flush; it costs little there, and one path is easier to get right than two.</summary>
    public static void Publish(this IPhysicalMemory memory, ulong address, int bytes)
    {
        memory.Flush(address, bytes);
        memory.StoreBarrier();
    }
}
