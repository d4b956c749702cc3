// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;

namespace PasidFramework.Benchmarks.Works;

/// <summary>An entry alone: set, then clear with what the format erases. No core, no queue.</summary>
internal readonly struct EntryWork : IWork<EntryWork>
{
    private const int Spare = 64;
    private const ulong FirstRoot = 0x10_0000_0000;
    private readonly IPasidTable _table;
    private readonly IndexRing _free;

    /// <summary>Makes a table with so many entries to come, from PASID 1.</summary>
    public EntryWork(UnitKind kind, int count)
    {
        _table = Units.Ok(Units.Format(kind).Create(new SystemMemory(), Pasid.MaxBits, new NoSync()));
        _free = new IndexRing(count + Spare);
        for (int pasid = 1; pasid <= count + Spare; pasid++)
        {
            _free.Put(pasid);
        }
    }

    public int Take()
    {
        int pasid = _free.Take();
        Units.Ok(_table.Set(new Pasid((uint)pasid), new PasidTableEntry(FirstRoot + ((ulong)pasid << 12), 1)));
        return pasid;
    }

    public void Give(int item)
    {
        Units.Ok(_table.Clear(new Pasid((uint)item)));
        _free.Put(item);
    }

    public EntryWork ForThread(int thread) => throw new NotSupportedException("A table has one owner.");
}
