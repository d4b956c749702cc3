// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.Units;
using PasidFramework.Drivers.Reference.Formats;
using PasidFramework.Drivers.Reference.Tables;
using PasidFramework.Results;

namespace PasidFramework.Drivers.Reference.Unit;

/// <summary>
/// What happens to an entry, in stores and commands. Every method stores first, then invalidates what the hardware may
/// have kept, in the order in which caches are filled: a later cache filled from an earlier one that still held the old
/// contents would keep them for good.
/// </summary>
internal sealed class ReferenceDomain(PasidTable table, RegisterPort port) : UnitDomain<UnitDevice>
{
    /// <summary>Its PASID table.</summary>
    public PasidTable Table => table;

    /// <inheritdoc/>
    public override long TableBytes => table.Bytes;

    /// <inheritdoc/>
    public override int Leaves => table.Leaves;

    /// <inheritdoc/>
    public override void Dispose()
    {
        table.Free();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override OpResult Install(UnitLink link)
    {
        OpResult<bool> installed = table.Install(link.Pasid, link.PageTableRoot, link.Tag);

        // The hardware may have kept that there was no entry; and no leaf, where there was none.
        return installed.IsOk
            ? port.Run(Command.InvalidatePasid(table.Root, link.Pasid, leafOnly: !installed.Value))
            : installed.Outcome;
    }

    /// <inheritdoc/>
    protected override OpResult Quiet(UnitLink link)
    {
        table.Silence(link.Pasid);
        return Invalidate(link, translations: true);
    }

    /// <inheritdoc/>
    protected override OpResult Clear(UnitLink link)
    {
        table.Clear(link.Pasid);
        return Invalidate(link, translations: !link.IsQuiet);
    }

    /// <inheritdoc/>
    protected override OpResult Leave(UnitLink link, UnitDevice device) => device.HasTlb
        ? port.Run(Command.InvalidateDeviceTlb(device.Requester, link.Pasid, PageRange.All))
        : OpResult.Ok;

    /// <inheritdoc/>
    protected override OpResult InvalidateRange(UnitLink link, ulong start, ulong end) =>
        InvalidateTranslations(link, PageRange.Cover(start, end));

    // D5: entry, then translations, then device TLBs. It ends at the first failure, since what follows could be filled
    // again from what did not answer.
    private OpResult Invalidate(UnitLink link, bool translations)
    {
        OpResult result = port.Run(Command.InvalidatePasid(table.Root, link.Pasid, leafOnly: true));
        return result.IsOk && translations ? InvalidateTranslations(link, PageRange.All) : result;
    }

    private OpResult InvalidateTranslations(UnitLink link, PageRange range)
    {
        OpResult result = port.Run(Command.InvalidateTranslations(link.Tag, range));
        foreach (UnitDevice device in DevicesWithTlb)
        {
            result = result.IsOk
                ? port.Run(Command.InvalidateDeviceTlb(device.Requester, link.Pasid, range))
                : result;
        }

        return result;
    }
}
