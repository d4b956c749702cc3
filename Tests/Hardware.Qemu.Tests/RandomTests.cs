// SPDX-License-Identifier: Apache-2.0
using FsCheck;
using FsCheck.Fluent;

namespace PasidFramework.Qemu.Tests;

/// <summary>Random sequences of bind, unbind, remap and exit; a failing one is shrunk. And threads.</summary>
public sealed class RandomTests(ITestOutputHelper output)
{
    private const int Devices = 4;

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void After_every_step_each_device_reaches_its_own_process_or_nothing(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Domain[] domains = [fixture.NewDomain(), fixture.NewDomain()];
        long checks = 0;

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(12).WithEndSize(60).WithReplay(20260, 7),
            Prop.ForAll<byte[]>(steps => checks += Play(fixture, architecture, domains, steps)));

        output.WriteLine($"{name} {architecture}: {checks} checks");
        Assert.True(checks > 200);
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Accesses_beside_binds_and_unbinds_reach_the_right_memory_or_nothing(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Domain domain = fixture.NewDomain();
        Device device = fixture.Add(domain, fixture.Hardware.Requesters[0], 64);
        Device other = fixture.Add(domain, fixture.Hardware.Requesters[1], 65);
        Guest guest = fixture.NewGuest();
        Guest neighbour = fixture.NewGuest();
        if ((fixture.Hardware.Traits & TestHardwareTraits.Concurrent) == 0)
        {
            // Entries are copied before each access there: nothing of it may be promised.
            Assert.Contains("copied", Installed.BackEnd(name, architecture).Limits, StringComparison.Ordinal);
            return;
        }

        _ = fixture.Bind(other, neighbour);
        using var start = new Barrier(2);
        Exception? failure = null;
        bool isOver = false;
        int landed = 0;
        int accessed = 0;
        var accesses = new Thread(() =>
        {
            start.SignalAndWait();
            try
            {
                while (!Volatile.Read(ref isOver))
                {
                    TranslationResult result = fixture.Store(device, 64);
                    landed += result.Status == TranslationStatus.Translated ? 1 : 0;
                    Assert.True(
                        result.Status == TranslationStatus.Faulted || result.Address == guest.Target(Fixture.Page),
                        result.ToString());
                    fixture.Lands(other, 65, neighbour);
                    Interlocked.Increment(ref accessed);
                }
            }
            catch (Exception e)
            {
                failure = e;
            }
        });
        accesses.Start();
        start.SignalAndWait();
        int rounds = Effort.Of(40);
        for (int round = 0; round < rounds; round++)
        {
            _ = fixture.Bind(device, guest);

            // One access of the other thread at least begins and ends while it is bound.
            int seen = Volatile.Read(ref accessed);
            Assert.True(SpinWait.SpinUntil(
                () => Volatile.Read(ref accessed) >= seen + 2 || Volatile.Read(ref failure) is not null,
                TimeSpan.FromMinutes(5)));
            fixture.Lands(device, 64, guest);
            Assert.Equal(OpResult.Ok, fixture.Core.Unbind(device, new Pasid(64)));
            fixture.Faults(device, 64, Codes.NoEntry(architecture));
        }

        Volatile.Write(ref isOver, true);
        accesses.Join();
        Assert.Null(failure);
        Assert.True(landed >= rounds, $"{landed} accesses of the other thread landed");
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Thousands_of_remaps_in_a_row_are_each_seen(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Device device = fixture.Add(fixture.NewDomain(), fixture.Hardware.Requesters[0], 9);
        Guest guest = fixture.NewGuest();
        _ = fixture.Bind(device, guest);
        fixture.Lands(device, 9, guest);
        int rounds = Effort.Of(1000);
        var watch = System.Diagnostics.Stopwatch.StartNew();

        for (int i = 0; i < rounds; i++)
        {
            ulong old = guest.Map(Fixture.Page);
            Assert.Equal(OpResult.Ok, fixture.Core.Invalidate(guest, Fixture.Page, Fixture.Page + 0x1000));
            fixture.Lands(device, 9, guest);
            fixture.Hardware.FreeTarget(old);
        }

        output.WriteLine(
            $"{name} {architecture}: {rounds / watch.Elapsed.TotalMinutes:f0} remap + invalidation + store a minute");
    }

    // Each byte is a step: what it does, and to which device. Devices 0 and 2 share a domain, 1 and 3 another one.
    private static int Play(Fixture fixture, string architecture, Domain[] domains, byte[] steps)
    {
        Device[] devices =
        [
            .. Enumerable.Range(0, Devices)
                .Select(i => fixture.Add(domains[i % 2], fixture.Hardware.Requesters[i], 62 + (uint)i)),
        ];
        var guests = new Guest?[Devices];
        int checks = 0;
        try
        {
            foreach (byte step in steps)
            {
                int at = step % Devices;
                uint pasid = 62 + (uint)at;
                Guest? guest = guests[at];
                switch ((step / Devices) % 5)
                {
                    case 0 or 1 when guest is null:
                        guests[at] = guest = fixture.NewGuest();
                        Assert.Equal(pasid, fixture.Bind(devices[at], guest).Value);
                        break;
                    case 1 when guest is not null:
                        Assert.Equal(OpResult.Ok, fixture.Core.Unbind(devices[at], new Pasid(pasid)));
                        guests[at] = null;
                        break;
                    case 2 when guest is not null:
                        ulong old = guest.Map(Fixture.Page);
                        Assert.Equal(OpResult.Ok, fixture.Core.Invalidate(guest, Fixture.Page, Fixture.Page + 0x1000));
                        fixture.Hardware.FreeTarget(old);
                        break;
                    case 3 when guest is not null:
                        guest.IsAlive = false;
                        fixture.Core.ProcessEnded(guest);
                        guests[at] = null;
                        break;
                    case 4:
                        Assert.Equal(OpResult.Ok, fixture.Core.RemoveDevice(devices[at]));
                        devices[at] = fixture.Add(domains[step / 64 % 2], devices[at].Requester, pasid);
                        guests[at] = null;
                        break;
                    default:
                        break;
                }

                for (int i = 0; i < Devices; i++)
                {
                    checks++;
                    if (guests[i] is { } bound)
                    {
                        fixture.Lands(devices[i], 62 + (uint)i, bound);
                    }
                    else
                    {
                        fixture.Faults(devices[i], 62 + (uint)i, Codes.NoEntry(architecture));
                    }
                }
            }

            return checks;
        }
        finally
        {
            // A shorter sequence begins with nothing, whatever became of this one.
            foreach (Device device in devices)
            {
                fixture.Core.RemoveDevice(device);
            }
        }
    }
}
