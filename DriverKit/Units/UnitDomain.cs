// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Units;

/// <summary>
/// A unit's record of a domain: the devices that walk its table, and the order of what happens to an entry. A driver
/// derives its own and says what each step stores and invalidates.
/// </summary>
/// <remarks>Not safe for concurrent use: the core serialises per domain. Different domains may run at once.</remarks>
/// <typeparam name="TDevice">The driver's record of a device.</typeparam>
public abstract class UnitDomain<TDevice> : IDisposable
    where TDevice : UnitDevice
{
    private TDevice[] _devices = [];
    private TDevice[] _withTlb = [];
    private UnitLink? _free;
    private volatile bool _mayBeWalked;

    /// <summary>Bytes of page memory in its table.</summary>
    public virtual long TableBytes => 0;

    /// <summary>Leaf tables in it.</summary>
    public virtual int Leaves => 0;

    /// <summary>
    /// Whether the hardware did not confirm that it forgot a device of this domain: it may still walk the table, which
    /// is then kept until the unit is off.
    /// </summary>
    public bool MayBeWalked
    {
        get => _mayBeWalked;
        set => _mayBeWalked = value;
    }

    /// <summary>Devices in the domain.</summary>
    public ReadOnlySpan<TDevice> Devices => Volatile.Read(ref _devices);

    /// <summary>Devices in the domain that keep translations: the table is the domain's, so each of them may keep any
    /// translation of it, bound or not.</summary>
    public ReadOnlySpan<TDevice> DevicesWithTlb => Volatile.Read(ref _withTlb);

    /// <summary>Lets a device use an address space; the first device of a link installs the entry.</summary>
    /// <param name="pasid">Index of the entry.</param>
    /// <param name="pageTableRoot">Physical byte address of the process's top page table.</param>
    /// <param name="process">The process; null on a unit without tags.</param>
    /// <param name="first">Whether the link is new.</param>
    /// <param name="link">The link's record; made where <paramref name="first"/> succeeds.</param>
    /// <returns>What <see cref="Install"/> answers.</returns>
    public OpResult Attach(
        Pasid pasid, ulong pageTableRoot, UnitProcess? process, TDevice device, bool first, ref UnitLink? link)
    {
        if (!first)
        {
            // Nothing to invalidate: the entry is there, and a device keeps no absence of translations.
            _ = Existing(link);
            return OpResult.Ok;
        }

        UnitLink fresh = Take().Begin(pasid, pageTableRoot, process);
        OpResult result = fresh.TaintIfUnconfirmed(Install(fresh));
        if (result.IsOk)
        {
            link = fresh;
            return result;
        }

        if (UnitProcess.IsUnconfirmed(result))
        {
            RollBack(fresh);
        }

        Put(fresh);
        return result;
    }

    /// <summary>Takes an address space from a device; the last device of a link removes the entry.</summary>
    /// <returns>Success; ETIMEDOUT, EIO: the entry is gone all the same.</returns>
    public OpResult Detach(TDevice device, bool last, ref UnitLink? link)
    {
        UnitLink own = Existing(link);
        if (!last)
        {
            // After an exit every device has been invalidated, and nothing was translated since.
            return own.IsQuiet ? OpResult.Ok : own.TaintIfUnconfirmed(Leave(own, device));
        }

        OpResult result = own.TaintIfUnconfirmed(Clear(own));
        link = null;
        Put(own);
        return result;
    }

    /// <summary>The process died: its entry translates nothing any more and stays in place (D12).</summary>
    /// <returns>What <see cref="Quiet"/> answers; where a cache did not confirm, the last detach invalidates all of it
    /// again.</returns>
    public OpResult Exit(UnitLink? link)
    {
        UnitLink own = Existing(link);
        OpResult result = own.TaintIfUnconfirmed(Quiet(own));
        own.IsQuiet = result.IsOk;
        return result;
    }

    /// <summary>Mappings of a range, which is not empty, changed (D6).</summary>
    public OpResult Invalidate(UnitLink? link, IovaRange range)
    {
        UnitLink own = Existing(link);
        return own.TaintIfUnconfirmed(InvalidateRange(own, range));
    }

    /// <summary>Frees the table: no hardware uses it any more.</summary>
    public virtual void Dispose() => GC.SuppressFinalize(this);

    internal void Add(TDevice device)
    {
        Volatile.Write(ref _devices, [.. _devices, device]);
        if (device.HasTlb)
        {
            Volatile.Write(ref _withTlb, [.. _withTlb, device]);
        }

        // The thread that stores an entry sees the device here, or the device can only fetch what was stored before.
        Interlocked.MemoryBarrier();
    }

    internal void Remove(TDevice device)
    {
        Volatile.Write(ref _devices, [.. _devices.Where(d => d != device)]);
        Volatile.Write(ref _withTlb, [.. _withTlb.Where(d => d != device)]);
    }

    /// <summary>Stores a link's entry, valid word last, and invalidates what caches hold of its absence.</summary>
    /// <returns>Success; EINVAL, EEXIST, ENOMEM, EOPNOTSUPP: nothing was changed. ETIMEDOUT, EIO: the hardware did not
    /// confirm, and <see cref="RollBack"/> follows.</returns>
    protected abstract OpResult Install(UnitLink link);

    /// <summary>Undoes an <see cref="Install"/> that the hardware did not confirm: it may have seen the
    /// entry.</summary>
    protected virtual void RollBack(UnitLink link) => _ = Clear(link);

    /// <summary>Makes a link's entry translate nothing without a configuration fault, and invalidates entry and
    /// translations.</summary>
    protected abstract OpResult Quiet(UnitLink link);

    /// <summary>Makes a link's entry not valid and invalidates it; and its translations, unless the link is
    /// <see cref="UnitLink.IsQuiet"/>. The entry goes whatever the hardware answers.</summary>
    protected abstract OpResult Clear(UnitLink link);

    /// <summary>Invalidates what one of several devices keeps of a link.</summary>
    protected virtual OpResult Leave(UnitLink link, TDevice device) => OpResult.Ok;

    /// <summary>Invalidates translations of a range, which is not empty.</summary>
    protected abstract OpResult InvalidateRange(UnitLink link, IovaRange range);

    private static UnitLink Existing(UnitLink? link) =>
        link ?? throw new ArgumentException("No device is attached to the link.", nameof(link));

    private UnitLink Take()
    {
        if (_free is not { } link)
        {
            return new UnitLink();
        }

        _free = link.Next;
        return link;
    }

    private void Put(UnitLink link)
    {
        link.Next = _free;
        _free = link;
    }
}
