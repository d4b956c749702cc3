using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.ArmSmmu.Emulation.Functional;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Caching;

/// <summary>The translations that devices keep for themselves (ATS, Arm IHI 0070 3.9, 4.5).</summary>
internal sealed class DeviceTlbs
{
    private const int PageShift = 12;

    private readonly List<Held> _held = [];

    /// <summary>What a device holds.</summary>
    /// <param name="sid">StreamID.</param>
    /// <param name="ssid">PASID; null for a request without one.</param>
    /// <param name="address">Untranslated address.</param>
    /// <param name="isWrite">Whether the access writes.</param>
    /// <returns>The translated address, or null.</returns>
    public ulong? Find(uint sid, uint? ssid, ulong address, bool isWrite)
    {
        foreach (Held held in _held)
        {
            if (held.Sid == sid && held.Ssid == ssid && held.Base == (address & ~held.Low) && (held.Writable || !isWrite))
            {
                return held.Target | (address & held.Low);
            }
        }

        return null;
    }

    /// <summary>A device keeps the answer to its request.</summary>
    public void Keep(uint sid, uint? ssid, ulong address, in SmmuTranslation translation)
    {
        ulong low = (1UL << translation.Shift) - 1;
        var held = new Held(
            sid, ssid, address & ~low, translation.Shift, translation.Address & ~low,
            translation.Writable && translation.Writable2);
        if (!_held.Contains(held))
        {
            _held.Add(held);
        }
    }

    /// <summary>A device is told to forget.</summary>
    /// <param name="command">ATC_INV.</param>
    /// <returns>What it has forgotten.</returns>
    public List<Held> Invalidate(SmmuCommand command)
    {
        ReadOnlySpan<ulong> words = [command.Word0, command.Word1];
        uint sid = (uint)words.Get(Commands.SID);
        uint ssid = (uint)words.Get(Commands.SSID);
        bool hasSsid = words.Get(Commands.SSV) != 0;
        bool isGlobal = words.Get(Commands.Global) != 0;
        int size = (int)words.Get(Commands.AtcSize);
        ulong low = size >= Commands.AtcSizeAll ? ulong.MaxValue : (1UL << (size + PageShift)) - 1;
        ulong first = words.GetAddress(Commands.ADDR) & ~low;
        ulong last = first | low;
        bool Hit(Held held) =>
            held.Sid == sid
            && (hasSsid ? held.Ssid is { } own && (isGlobal || own == ssid) : held.Ssid is null)
            && held.Base <= last
            && (held.Base | held.Low) >= first;
        List<Held> forgotten = _held.FindAll(Hit);
        _held.RemoveAll(Hit);
        return forgotten;
    }

    /// <summary>Every translation that is held.</summary>
    public IEnumerable<Held> Translations() => _held;

    /// <summary>Forgets everything.</summary>
    public void Drop() => _held.Clear();

    /// <summary>Everything that is held.</summary>
    public IEnumerable<CachedItem> Items() => _held.Select(h => new CachedItem(
        "device-TLB",
        Text($"StreamID 0x{h.Sid:x} {(h.Ssid is { } ssid ? Text($"PASID 0x{ssid:x}") : "no PASID")} 0x{h.Base:x}"),
        Text($"0x{h.Target:x}")));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>One translation in a device.</summary>
    internal sealed record Held(uint Sid, uint? Ssid, ulong Base, int Shift, ulong Target, bool Writable)
    {
        public ulong Low => (1UL << Shift) - 1;
    }
}
