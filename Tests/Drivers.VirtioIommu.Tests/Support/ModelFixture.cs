// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>The strict model with a started driver on it, and one process's page table.</summary>
internal sealed class ModelFixture : IDisposable
{
    public const uint Endpoint = 0x18;
    public const ulong Page = 0x7F00_1234_5000;
    public const ulong Target = 0x5_6789_A000;
    public const uint Asid = 7;

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
