// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tests;

public sealed class FaultTests
{
    [Fact]
    public void Faults_come_oldest_first_with_all_that_the_record_says_and_once()
    {
        var fixture = new Fixture();
        Device device = fixture.Device(fixture.Domain(9), Fixture.Nic);
        TestProcess process = fixture.Process();
        Pasid pasid = Fixture.Ok(fixture.Core.Bind(device, process));
        Fixture.Ok(process.Tables.Map(0x1000, 0x5000, writable: false));
        _ = fixture.Read(Fixture.Gpu, 5, 0x123);
        _ = fixture.Write(Fixture.Nic, null, 0x456);
        _ = fixture.Read(Fixture.Nic, 512);
        _ = fixture.Read(Fixture.Nic, 300);
        _ = fixture.Read(Fixture.Nic, 2);
        _ = fixture.Read(Fixture.Nic, pasid.Value, 1UL << 48);
        _ = fixture.Read(Fixture.Nic, pasid.Value, 0x2000);
        _ = fixture.Write(Fixture.Nic, pasid.Value, 0x1FF8);
        _ = fixture.Read(new RequesterId(0x400), 1);
        var faults = new List<IommuFault>();

        Fixture.Ok(fixture.Unit.TakeFaults(faults));

        Assert.Equal(
            [
                (0x2A0u, 5u, 0x123UL, false, FaultCode.DeviceNotValid),
                (0x118u, null, 0x456UL, true, FaultCode.NoPasid),
                (0x118u, 512u, Fixture.Address, false, FaultCode.PasidRange),
                (0x118u, 300u, Fixture.Address, false, FaultCode.DirectoryNotValid),
                (0x118u, 2u, Fixture.Address, false, FaultCode.EntryNotValid),
                (0x118u, 1u, 1UL << 48, false, FaultCode.AddressRange),
                (0x118u, 1u, 0x2000UL, false, FaultCode.PageNotPresent),
                (0x118u, 1u, 0x1FF8UL, true, FaultCode.NotWritable),
                ((uint, uint?, ulong, bool, FaultCode))(0x400u, 1u, Fixture.Address, false, FaultCode.RequesterRange),
            ],
            faults.Select(f => (
                f.Requester!.Value.Value, f.Pasid?.Value, f.Address!.Value, f.IsWrite!.Value, (FaultCode)f.Code)));
        Assert.Equal("page not writable", faults[7].Reason);
        Assert.All(faults, f => Assert.Empty(FaultRecord.Layout.Check([.. f.Words])));
        faults.Clear();
        Fixture.Ok(fixture.Unit.TakeFaults(faults));
        Assert.Empty(faults);
    }

    [Theory]
    [InlineData(1), InlineData(4), InlineData(64)]
    public void Lost_records_are_EOVERFLOW_once_and_the_others_are_there(int room)
    {
        var fixture = new Fixture(Fixture.With(("fault-records", $"{room}")));
        _ = fixture.Unit;
        var faults = new List<IommuFault>();
        for (uint i = 0; i < room; i++)
        {
            _ = fixture.Read(Fixture.Nic, i);
        }

        Fixture.Ok(fixture.Unit.TakeFaults(faults));
        Assert.Equal(room, faults.Count);
        for (uint i = 0; i <= room; i++)
        {
            _ = fixture.Read(Fixture.Nic, i + 1000);
        }

        faults.Clear();
        Assert.Equal(Errno.EOVERFLOW, fixture.Unit.TakeFaults(faults).Errno);

        Assert.Equal(Enumerable.Range(1000, room).Select(i => (uint)i), faults.Select(f => f.Pasid!.Value.Value));
        Fixture.Ok(fixture.Unit.TakeFaults(faults));
        Assert.Equal(room, faults.Count);
    }

    [Fact]
    public void D12_an_exit_leaves_no_record()
    {
        var fixture = new Fixture();
        Device device = fixture.Device(fixture.Domain(), Fixture.Nic);
        TestProcess process = fixture.Process();
        Fixture.Ok(fixture.Core.Bind(device, process));
        var faults = new List<IommuFault>();
        device.ProcessExited = (d, _, pasid) =>
        {
            Assert.Equal(TranslationStatus.AbortedQuietly, fixture.Write(d.Requester, pasid.Value).Status);
            Fixture.Ok(fixture.Unit.TakeFaults(faults));
        };

        process.End(fixture.Core);

        Assert.Empty(faults);
        _ = fixture.Write(Fixture.Nic, 1);
        Fixture.Ok(fixture.Unit.TakeFaults(faults));
        Assert.Equal((int)FaultCode.EntryNotValid, Assert.Single(faults).Code);
    }
}
