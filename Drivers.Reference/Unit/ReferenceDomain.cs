// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Drivers.Reference.Tables;

namespace PasidFramework.Drivers.Reference.Unit;

/// <summary>
/// What is invalidated when an entry changes. The table has stored and written back; what the hardware may have kept is
/// invalidated in the order in which caches are filled: a later cache filled from an earlier one that still held the
/// old contents would keep them for good.
/// </summary>
internal sealed class ReferenceDomain(IPhysicalMemory memory, RegisterPort port) : UnitDomain<UnitDevice>,
IPasidTableSync
{
    /// <summary>Its PASID table.</summary>
    public ReferenceTable Table { get; private set; } = null!;

    public override long TableBytes => Table.TableBytes;
    public override int Leaves => Table.Leaves;

    /// <summary>Makes its empty table.</summary>
    public OpResult CreateTable(int pasidBits)
    {
        OpResult<ReferenceTable> table = ReferenceTable.Create(memory, pasidBits, this);
        Table = table.Value!;
        return table.Outcome;
    }

    /// <summary>The hardware may have kept that there was no entry; and no leaf, where there was none.</summary>
    public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly)
    {
        memory.StoreBarrier();
        return port.Run(Command.InvalidatePasid(Table.Root, pasid, leafOnly));
    }

    public OpResult TranslationsChanged(Pasid pasid, uint archId) =>
        InvalidateTranslations(pasid, archId, PageRange.All);

    /// <summary>D5: entry, then translations, then device TLBs. It ends at the first failure, since what follows could
    /// be filled again from what did not answer.</summary>
    public OpResult EntryRemoved(Pasid pasid, uint archId)
    {
        OpResult result = ConfigurationChanged(pasid, leafOnly: true);
        return result.IsOk ? TranslationsChanged(pasid, archId) : result;
    }

    public override void Dispose()
    {
        Table.Dispose();
        base.Dispose();
    }

    protected override OpResult Install(UnitLink link) =>
        Table.Set(link.Pasid, new PasidTableEntry(link.PageTableRoot, link.Tag));

    /// <summary>The table has taken back what was not confirmed.</summary>
    protected override void RollBack(UnitLink link)
    {
    }

    protected override OpResult Quiet(UnitLink link) => Table.Quiet(link.Pasid);
    protected override OpResult Clear(UnitLink link) => Table.Clear(link.Pasid);

    protected override OpResult Leave(UnitLink link, UnitDevice device) => device.HasTlb
        ? port.Run(Command.InvalidateDeviceTlb(device.Requester, link.Pasid, PageRange.All))
        : OpResult.Ok;

    protected override OpResult InvalidateRange(UnitLink link, IovaRange range) =>
        InvalidateTranslations(link.Pasid, link.Tag, PageRange.Cover(range));

    private OpResult InvalidateTranslations(Pasid pasid, uint asid, PageRange range)
    {
        OpResult result = port.Run(Command.InvalidateTranslations(asid, range));
        foreach (UnitDevice device in DevicesWithTlb)
        {
            result = result.IsOk ? port.Run(Command.InvalidateDeviceTlb(device.Requester, pasid, range)) : result;
        }

        return result;
    }
}
