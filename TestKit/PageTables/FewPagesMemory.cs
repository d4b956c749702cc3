// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit.PageTables;

/// <summary>Memory of which a limited number of allocations can be had.</summary>
internal sealed class FewPagesMemory(IPhysicalMemory inner) : PassingMemory(inner)
{
    public int AllocationsLeft { get; set; } = int.MaxValue;

    public override OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096) => AllocationsLeft-- > 0
        ? base.AllocatePages(bytes, alignmentBytes)
        : OpResult<ulong>.Refuse(Errno.ENOMEM, "no allocation is left");
}
