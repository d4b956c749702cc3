// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Units;

/// <summary>
/// A unit's record of one link of process and domain. Reused through its domain's free list, so that attach and detach
/// allocate nothing once they have run.
/// </summary>
public sealed class UnitLink
{
    private UnitProcess? _process;

    internal UnitLink()
    {
    }

    /// <summary>Index of the entry.</summary>
    public Pasid Pasid { get; private set; }

    /// <summary>Physical byte address of the process's top page table.</summary>
    public ulong PageTableRoot { get; private set; }

    /// <summary>The tag of its translations; 0 on a unit that has no tags.</summary>
    public uint Tag => _process?.Tag ?? 0;

    /// <summary>
    /// The process has exited and every cache has confirmed that it holds nothing of it: the entry leads to no new
    /// translation, so that <see cref="UnitDomain{TDevice}.Clear"/> need not invalidate translations again.
    /// </summary>
    public bool IsQuiet { get; internal set; }

    internal UnitLink? Next { get; set; }

    internal UnitLink Begin(Pasid pasid, ulong pageTableRoot, UnitProcess? process)
    {
        Pasid = pasid;
        PageTableRoot = pageTableRoot;
        _process = process;
        IsQuiet = false;
        Next = null;
        return this;
    }

    internal OpResult TaintIfUnconfirmed(OpResult result) => _process?.TaintIfUnconfirmed(result) ?? result;
}
