// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tables;

/// <summary>The PASID table of one domain, the endpoints that use it, and the invalidations that keep the device's
/// caches true to it. It knows nothing of the core's objects, only numbers.</summary>
/// <remarks>As the unit promises: entry operations of one domain are never called concurrently; endpoints may come and
/// go beside them.</remarks>
internal sealed class DomainTable(StartedDevice started, TableDialect dialect, uint domain)
    : UnitDomain<UnitDevice>, IPasidTableSync, IEndpointSet
{
    private IPasidTable _table = null!;
    private AttachWords _words;
    private int _endpoints;
    private int _attaching;

    // Endpoints that are in the domain; they come and go beside the entries.
    private readonly HashSet<uint> _members = [];
    private SpinGate _membersGate;
    public uint Domain => domain;
    public int PasidBits => _table.PasidBits;
    public override long TableBytes => _table.TableBytes;
    public override int Leaves => _table.Leaves;
    public int Endpoints => Volatile.Read(ref _endpoints);

    /// <summary>Builds an empty table; the device learns of it with the first endpoint.</summary>
    /// <param name="device">The device; a dialect was negotiated.</param>
    /// <returns>The table; ENOMEM, EINVAL.</returns>
    public static OpResult<DomainTable> Create(
        StartedDevice device, IPasidTableFormat format, uint domain, int pasidBits)
    {
        TableDialect dialect = device.Dialect
            ?? throw new InvalidOperationException("No dialect for PASID tables was negotiated.");
        var created = new DomainTable(device, dialect, domain);
        OpResult<IPasidTable> table = format.Create(device.Memory, pasidBits, created);
        if (!table.IsOk)
        {
            return OpResult<DomainTable>.Refuse(table.Outcome);
        }

        OpResult<AttachWords> words = AttachWords.From(table.Value.AttachParameters);
        if (!words.IsOk)
        {
            table.Value.Dispose();
            return OpResult<DomainTable>.Refuse(words.Outcome);
        }

        created._table = table.Value;
        created._words = words.Value;
        return OpResult<DomainTable>.Ok(created);
    }

    /// <summary>Asks an endpoint whether it can use the table, and attaches it.</summary>
    /// <returns>Success; EOPNOTSUPP (no PASIDs, other format), EINVAL (narrower than the table), the device's
    /// refusal.</returns>
    public OpResult AddEndpoint(uint endpoint)
    {
        OpResult usable = CheckEndpoint(endpoint);
        if (!usable.IsOk)
        {
            return usable;
        }

        // Counted before the request: an entry that is installed meanwhile must be announced, since the device may have
        // read the table between its attach and our return.
        Interlocked.Increment(ref _attaching);
        Interlocked.Increment(ref _endpoints);
        Span<ulong> words = stackalloc ulong[TableDialect.MaxWords];
        Sending sent = Send(
            dialect.EncodeAttach(words, Domain, endpoint, _words),
            dialect.AttachBytes,
            "ATTACH_TABLE",
            "endpoint",
            endpoint);
        Interlocked.Decrement(ref _attaching);
        if (!sent.Result.IsOk)
        {
            Interlocked.Decrement(ref _endpoints);

            // No answer is no refusal: the endpoint may get the table later.
            if (!sent.Answered)
            {
                MayBeWalked = true;
            }
        }
        else
        {
            _membersGate.Enter();
            _members.Add(endpoint);
            _membersGate.Exit();
        }

        return sent.Result;
    }

    /// <summary>Detaches an endpoint. If the device does not confirm it, the table is kept until the unit is
    /// off.</summary>
    /// <returns>Success; the device's refusal.</returns>
    public OpResult RemoveEndpoint(uint endpoint)
    {
        OpResult detached = started.Standard.Detach(Domain, endpoint);
        _membersGate.Enter();
        _members.Remove(endpoint);
        _membersGate.Exit();
        Interlocked.Decrement(ref _endpoints);
        if (!detached.IsOk)
        {
            MayBeWalked = true;
        }

        return detached;
    }

    public bool Has(uint endpoint)
    {
        _membersGate.Enter();
        bool has = _members.Contains(endpoint);
        _membersGate.Exit();
        return has;
    }

    public override void Dispose()
    {
        _table.Dispose();
        base.Dispose();
    }

    public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly)
    {
        Span<ulong> words = stackalloc ulong[TableDialect.MaxWords];
        return SendInvalidate(dialect.EncodeConfiguration(words, Domain, pasid.Value, leafOnly), pasid);
    }

    public OpResult TranslationsChanged(Pasid pasid, uint archId)
    {
        Span<ulong> words = stackalloc ulong[TableDialect.MaxWords];
        return SendInvalidate(dialect.EncodeTranslations(words, Domain, pasid.Value, archId), pasid);
    }

    protected override OpResult Install(UnitLink link) =>
        _table.Set(link.Pasid, new PasidTableEntry(link.PageTableRoot, link.Tag));

    /// <summary>Nothing: the table's writer has done so.</summary>
    protected override void RollBack(UnitLink link)
    {
    }

    /// <summary>The table's writer invalidates every cache; where its format has no quiet entry, the entry
    /// goes.</summary>
    protected override OpResult Quiet(UnitLink link)
    {
        OpResult done = _table.CanQuiet ? _table.Quiet(link.Pasid) : _table.Clear(link.Pasid);
        started.DrainEvents(link.Pasid, this);
        return done;
    }

    protected override OpResult Clear(UnitLink link)
    {
        OpResult done = _table.Clear(link.Pasid);
        if (done.Errno == Errno.ENOENT && !_table.CanQuiet)
        {
            // The exit has removed it; where that was not confirmed, all of it is invalidated once more.
            done = link.IsQuiet ? OpResult.Ok : ((IPasidTableSync)this).EntryRemoved(link.Pasid, link.Tag);
        }

        started.DrainEvents(link.Pasid, this);
        return done;
    }

    /// <summary>One of several devices stops using a PASID. The entry stays for the others and so do its translations,
    /// which are right: the dialects know no cache of one endpoint alone, and the last device's removal invalidates all
    /// of them. Only the faults that name the PASID are taken.</summary>
    protected override OpResult Leave(UnitLink link, UnitDevice device)
    {
        started.DrainEvents(link.Pasid, this, device.Requester.Value);
        return OpResult.Ok;
    }

    protected override OpResult InvalidateRange(UnitLink link, IovaRange range)
    {
        if (range == IovaRange.All)
        {
            return link.IsQuiet ? OpResult.Ok : TranslationsChanged(link.Pasid, link.Tag);
        }

        int granule = started.Config.GranuleLog2;
        var covered = InvalidationRange.Cover(range, granule);
        Span<ulong> words = stackalloc ulong[TableDialect.MaxWords];
        return SendInvalidate(
            dialect.EncodeRange(
                words, Domain, link.Pasid.Value, link.Tag, covered.FirstByte, covered.Pages, granule),
            link.Pasid);
    }

    private OpResult CheckEndpoint(uint endpoint)
    {
        OpResult<EndpointProperties> probed = started.Probe(endpoint);
        if (!probed.IsOk)
        {
            return probed.Outcome;
        }

        EndpointProperties properties = probed.Value;
        if (properties.PasidBits is null && dialect.PropertiesRequired)
        {
            return Refuse(Errno.EOPNOTSUPP, endpoint, "it has no property PASID_SIZE (5): it cannot carry PASIDs");
        }

        if (properties.PasidBits == 0)
        {
            return Refuse(Errno.EOPNOTSUPP, endpoint, "its PASID width is 0: it cannot carry PASIDs");
        }

        if (dialect.Check(properties, _words.S1Fmt) is { } objection)
        {
            return Refuse(objection.Errno, endpoint, objection.Reason);
        }

        return properties.PasidBits < PasidBits
            ? Refuse(Errno.EINVAL, endpoint, Text(
                $"its PASIDs have {properties.PasidBits} bits, the domain's table has {PasidBits}"))
            : OpResult.Ok;
    }

    private OpResult SendInvalidate(ReadOnlySpan<ulong> request, Pasid pasid)
    {
        // Read before the request. Nobody attached: the device has never seen the table, or has forgotten it.
        bool attaching = Volatile.Read(ref _attaching) != 0;
        if (Endpoints == 0)
        {
            return OpResult.Ok;
        }

        Sending sent = Send(request, dialect.InvalidateBytes, "INVALIDATE", "PASID", pasid.Value);

        // While the first endpoint is on its way in, the device need not know the domain yet; then it caches nothing.
        return attaching && sent.Result.Errno == Errno.ENOENT ? OpResult.Ok : sent.Result;
    }

    private Sending Send(
        ReadOnlySpan<ulong> request, int driverBytes, string name, string subject, uint number)
    {
        RequestStatus status = started.Requests.Send(request, driverBytes);
        return new Sending(
            status.ToResult(name, Domain, subject, number),
            status is not (RequestStatus.TimedOut or RequestStatus.Broken));
    }

    private OpResult Refuse(Errno errno, uint endpoint, string reason) =>
        OpResult.Refuse(errno, Text($"virtio-iommu endpoint 0x{endpoint:x} (dialect {dialect.Name}): {reason}"));

    private readonly record struct Sending(OpResult Result, bool Answered);
}
