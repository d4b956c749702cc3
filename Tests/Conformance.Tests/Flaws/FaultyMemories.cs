// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Hardware;
using PasidFramework.TestKit;

namespace PasidFramework.Conformance.Tests.Flaws;

/// <summary>
/// Stores of the reference driver, bent. It stores the second word of a PASID entry (the ASID) right before the first
/// one; everything else with a valid bit is a device or a directory entry.
/// </summary>
internal abstract class FaultyStores(IPhysicalMemory inner) : PassingMemory(inner)
{
    private ulong _last;
    protected HashSet<ulong> PasidEntries { get; } = [];

    public sealed override void WriteQword(ulong address, ulong value)
    {
        if (_last == address + 8)
        {
            PasidEntries.Add(address);
        }

        _last = address;
        Store(address, value);
    }

    /// <summary>Makes every PASID entry not valid.</summary>
    public void ClearAll()
    {
        foreach (ulong entry in PasidEntries)
        {
            Inner.WriteQword(entry, 0);
            Inner.Flush(entry, 8);
            Inner.StoreBarrier();
        }
    }

    protected virtual void Store(ulong address, ulong value) => Inner.WriteQword(address, value);
}

internal sealed class WatchesStores(IPhysicalMemory inner) : FaultyStores(inner);

internal sealed class ChangesEntries(IPhysicalMemory inner, Func<ulong, ulong> change) : FaultyStores(inner)
{
    protected override void Store(ulong address, ulong value) => Inner.WriteQword(
        address, PasidEntries.Contains(address) && (value & 3) == 1 ? change(value) : value);
}

/// <summary>Entries that lie 64 places apart share one place.</summary>
internal sealed class AliasesEntries(IPhysicalMemory inner) : PassingMemory(inner)
{
    private readonly HashSet<ulong> _leaves = [];

    public override OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096)
    {
        OpResult<ulong> made = Inner.AllocatePages(bytes, alignmentBytes);
        if (made.IsOk && bytes == 4096)
        {
            _leaves.Add(made.Value);
        }

        return made;
    }

    public override void WriteQword(ulong address, ulong value) =>
        Inner.WriteQword(_leaves.Contains(address & ~0xFFFUL) ? address & ~0x400UL : address, value);
}

/// <summary>The word with the valid bit first.</summary>
internal sealed class ValidFirst(IPhysicalMemory inner) : PassingMemory(inner)
{
    private (ulong Address, ulong Value)? _held;

    public override void WriteQword(ulong address, ulong value)
    {
        // The ASID's word is the only one whose low 12 bits may be anything and that is at an odd place: hold it.
        if ((address & 8) != 0 && value is > 0 and < 0x10000 && _held is null)
        {
            _held = (address, value);
            return;
        }

        Inner.WriteQword(address, value);
        if (_held is { } held)
        {
            _held = null;
            Inner.Flush(address, 8);
            Inner.StoreBarrier();
            Inner.WriteQword(held.Address, held.Value);
        }
    }

    public override void Flush(ulong address, int bytes)
    {
        if (_held is null)
        {
            Inner.Flush(address & ~15UL, bytes + 16);
        }
    }
}

/// <summary>Before an entry that is valid is changed it leads somewhere else for a moment.</summary>
internal sealed class TornRemoval(IPhysicalMemory inner) : FaultyStores(inner)
{
    protected override void Store(ulong address, ulong value)
    {
        ulong old = Inner.ReadQword(address);
        if (PasidEntries.Contains(address) && (old & 3) == 1 && value != old)
        {
            Inner.WriteQword(address, old + 0x1000);
            Inner.Flush(address, 8);
            Inner.StoreBarrier();
        }

        Inner.WriteQword(address, value);
    }
}

/// <summary>Whenever a valid entry is stored in a table of entries of 8 bytes, the others are cleared for a
/// moment.</summary>
internal sealed class DisturbsOthers(IPhysicalMemory inner, bool directories) : FaultyStores(inner)
{
    private readonly List<ulong> _stored = [];

    protected override void Store(ulong address, ulong value)
    {
        // Device entries have their width in bits 6:2, directory entries have nothing there.
        bool isDirectory = (value & 0xFFF) == 1;
        if (!PasidEntries.Contains(address) && (value & 1) != 0 && isDirectory == directories)
        {
            foreach (ulong other in _stored)
            {
                ulong kept = Inner.ReadQword(other);
                Inner.WriteQword(other, 0);
                Inner.Flush(other, 8);
                Inner.StoreBarrier();
                Inner.WriteQword(other, kept);
                Inner.Flush(other, 8);
                Inner.StoreBarrier();
            }

            _stored.Add(address);
        }

        Inner.WriteQword(address, value);
    }
}

internal sealed class NeverFlushes(IPhysicalMemory inner) : PassingMemory(inner)
{
    public override void Flush(ulong address, int bytes)
    {
        // A walker that snoops does not mind.
    }
}

/// <summary>An exit clears the entry instead of making it quiet.</summary>
internal sealed class LoudExit(IPhysicalMemory inner) : FaultyStores(inner)
{
    protected override void Store(ulong address, ulong value) =>
        Inner.WriteQword(address, PasidEntries.Contains(address) && (value & 3) == 3 ? 0 : value);
}

internal sealed class KeepsMemory(IPhysicalMemory inner) : PassingMemory(inner)
{
    public override void FreePages(ulong address, int bytes)
    {
        // Lost.
    }
}
