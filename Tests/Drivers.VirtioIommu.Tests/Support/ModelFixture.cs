// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>The strict model with a started driver on it, and one process's page table.</summary>
internal sealed class ModelFixture : IDisposable
{
    public const uint Endpoint = 0x18;
    public const ulong Page = 0x7F00_1234_5000;
    public const ulong Target = 0x5_6789_A000;
    public const uint Asid = 7;
    public static readonly Pasid Pasid = new(0x1234);
    public static readonly Pasid Neighbour = new(0x1235);

    public ModelFixture(
        string dialect,
        bool coherent = true,
        StoreOrder order = StoreOrder.Immediate,
        Action<MemoryEvent>? beforeModel = null)
    {
        Memory = new ModelMemory(coherent, order);
        Memory.Changed += beforeModel;
        Model = new VirtioIommuModel(Memory, Fixture.Setup(dialect, coherent: coherent),
            new ArmSmmu.Reader.SmmuTableReader());
        Assert.True(TableDialect.TryParse(dialect, out TableDialect? parsed));
        Dialect = parsed;
        Started = Start();
        Model.Device.LogCapacity = 4096;
        PageTable = new TestPageTables().Create(Memory).Value!;
        Assert.True(PageTable.Map(Page, Target, writable: true).IsOk);
    }

    public ModelMemory Memory { get; }
    public VirtioIommuModel Model { get; }
    public TableDialect? Dialect { get; }
    public StartedDevice Started { get; private set; }
    public IPageTable PageTable { get; }

    /// <summary>First level of domain 1's table.</summary>
    public ulong TableRoot { get; private set; }

    public DomainTable Attach(int pasidBits = 16, uint domain = 1, uint endpoint = Endpoint)
    {
        OpResult<DomainTable> table =
            DomainTable.Create(Started, new ArmSmmu.Tables.SmmuTableFormat(), domain, pasidBits);
        Assert.True(table.IsOk, table.ToString());
        Assert.Equal(OpResult.Ok, table.Value.AddEndpoint(endpoint));
        if (domain == 1)
        {
            ConsumedRequest attach = Model.Device.TakeLog().Last(r => r.Bytes[0] == 6);
            TableRoot = WireReader.U64(attach.Bytes, 16) & 0x0000_FFFF_FFFF_FFC0;
        }

        return table.Value;
    }

    /// <summary>Attaches the endpoint to domain 1 with a first level at a root: 16 bits, leaves of 64 KiB.</summary>
    public RequestStatus AttachTwoLevels(ulong root)
    {
        ulong ste0 = 0b1011 | (2 << 4) | root | (16UL << 59);
        Span<ulong> words = stackalloc ulong[TableDialect.MaxWords];
        return Started.Requests.Send(
            Dialect!.EncodeAttach(words, 1, Endpoint, new AttachWords(2, root, 16, 2, ste0, 2)), Dialect.AttachBytes);
    }

    /// <summary>Ends the driver, which resets the model, and starts another one on the same model.</summary>
    public void Restart()
    {
        Started.Dispose();
        Started = Start();
    }

    public DomainTable AttachAndInstall(Pasid pasid, int pasidBits = 16)
    {
        DomainTable table = Attach(pasidBits);
        Assert.Equal(OpResult.Ok, table.Install(pasid, PageTable.Root, Asid));
        return table;
    }

    public TranslationResult Access(
        Pasid? pasid, ulong address = Page, bool isWrite = false, uint endpoint = Endpoint) =>
        Model.Translate(new DmaAccess(new RequesterId(endpoint), pasid, address, isWrite));

    public RequestStatus Send(ReadOnlySpan<ulong> request) => Started.Requests.Send(request, Dialect!.InvalidateBytes);
    public string[] Rules() => [.. Model.Violations.Select(c => c.Rule).Distinct()];

    public void Leave(DomainTable table)
    {
        Assert.Empty(Rules());
        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(Endpoint));
    }

    /// <summary>An invalidation, right but for one thing.</summary>
    public ulong[] Request(string what)
    {
        var words = new ulong[TableDialect.MaxWords];
        bool isB = Dialect is V09Dialect;
        uint domain = what == "other domain" ? 2u : 1;
        uint pasid = what == "other PASID" ? Neighbour.Value : Pasid.Value;
        uint id = what == "other id" ? Asid + 1 : Asid;
        Span<ulong> request = what switch
        {
            "config" => Dialect!.EncodeConfiguration(words, domain, pasid, leafOnly: false),
            "page" => Dialect!.EncodeRange(words, domain, pasid, id, Page, 1, 12),
            "no page" => Dialect!.EncodeRange(words, domain, pasid, id, Page, 0, 12),
            "next page" => Dialect!.EncodeRange(words, domain, pasid, id, Page + 0x1000, 1, 12),
            _ => Dialect!.EncodeTranslations(words, domain, pasid, id),
        };
        if (what == "domain")
        {
            // The number is the same in both.
            request.Set(isB ? ProposalBInvalidate.Scope : ProposalEInvalidate.Scope, ProposalBInvalidate.ScopeDomain);
        }
        else if (what == "no id")
        {
            request.Set(ProposalEInvalidate.Flags, ProposalEInvalidate.FlagPasid);
        }
        else if (what == "both caches")
        {
            request.Set(ProposalEInvalidate.Caches, 3);
        }

        return request.ToArray();
    }

    public ulong[] Leaf(ulong[] request)
    {
        Field flags = Dialect is V09Dialect ? ProposalBInvalidate.Flags : ProposalEInvalidate.Flags;
        Span<ulong> words = request;
        words.Set(flags, words.Get(flags)
            | (Dialect is V09Dialect ? ProposalBInvalidate.FlagLeaf : (ulong)ProposalEInvalidate.FlagLeaf));
        return request;
    }

    /// <summary>The table of a level on the way to the page.</summary>
    public ulong Level(int level)
    {
        ulong table = PageTable.Root;
        for (int i = 0; i < level; i++)
        {
            table = Memory.ReadQword(table + ((Page >> (39 - (9 * i)) & 511) * 8)) & 0x0000_FFFF_FFFF_F000;
        }

        return table;
    }

    public ulong Descriptor(DomainTable table, Pasid pasid)
    {
        Assert.Equal(16, table.PasidBits);
        ulong leaf = Memory.ReadQword(TableRoot + ((pasid.Value >> 10) * 8UL)) & ~0xFFFUL;
        return leaf + ((pasid.Value & 1023) * 64UL);
    }

    private StartedDevice Start()
    {
        OpResult<StartedDevice> started = StartedDevice.Start(
            "viommu0", Model, Dialect, NullLogger.Instance, Fixture.Short);
        Assert.True(started.IsOk, started.ToString());
        return started.Value;
    }

    public void Dispose()
    {
        Started.Dispose();
        PageTable.Dispose();
        Model.Dispose();
    }
}
