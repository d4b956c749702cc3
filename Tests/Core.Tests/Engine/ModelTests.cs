// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Engine;

/// <summary>
/// Random sequences of start, exec, exit, bind, unbind and unbind-all against a naive account of who is bound where; a
/// failing sequence is shrunk by FsCheck.
/// </summary>
public sealed class ModelTests
{
    private const int Pids = 4;

    [Theory]
    [InlineData(PasidOptions.LifetimeLastUnbind, PasidOptions.OwnershipCore)]
    [InlineData(PasidOptions.LifetimeProcessDeath, PasidOptions.OwnershipCore)]
    [InlineData(PasidOptions.LifetimeLastUnbind, PasidOptions.OwnershipVendor)]
    [InlineData(PasidOptions.LifetimeProcessDeath, PasidOptions.OwnershipVendor)]
    public void C1_C5_C12_D1_sequences_agree_with_a_naive_account(string lifetime, string ownership)
    {
        Gen<(int, int, int)[]> sequences = Gen.ArrayOf(
            from operation in Gen.Choose(0, 9)
            from pid in Gen.Choose(1, Pids)
            from device in Gen.Choose(0, 3)
            select (operation, pid, device));
        Prop.ForAll(sequences.ToArbitrary(), steps => Run(steps, lifetime, ownership))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(300).WithEndSize(60));
    }

    private static void Run((int Operation, int Pid, int Device)[] steps, string lifetime, string ownership)
    {
        using var system = new TestSystem(o =>
        {
            o.Lifetime = lifetime;
            o.Ownership = ownership;
            o.Last = 255;
        });
        RecordingUnit one = system.AddUnit(), two = system.AddUnit();
        Domain shared = system.AddDomain(one, "shared");
        Device[] devices =
        [
            system.AddDevice(shared, 1), system.AddDevice(shared, 2),
            system.AddDevice(system.AddDomain(one, "own"), 3), system.AddDevice(system.AddDomain(two, "other"), 1),
        ];
        var running = new Dictionary<int, IAddressSpace>();
        var bound = new Dictionary<(IAddressSpace Process, Device Device), Pasid>();

        // PASIDs that a process keeps until it dies, by space.
        var kept = new Dictionary<(IAddressSpace Process, PasidSpace Space), Pasid>();

        foreach ((int operation, int pid, int index) in steps)
        {
            Device device = devices[index];
            bool runs = running.TryGetValue(pid, out IAddressSpace? process);
            switch (operation)
            {
                case 0:
                    Assert.Equal(runs ? Errno.EEXIST : Errno.None, system.Processes.Start(pid, "p").Errno);
                    running[pid] = system.Processes.Open(pid).Value!;
                    break;
                case 1 or 2:
                    OpResult ended = operation == 1
                        ? system.Processes.Exit(pid)
                        : system.Processes.Exec(pid, "x").Outcome;
                    Assert.Equal(runs ? Errno.None : Errno.ESRCH, ended.Errno);
                    running.Remove(pid);
                    if (runs)
                    {
                        Drop(key => ReferenceEquals(key.Process, process));
                        foreach ((IAddressSpace Process, PasidSpace Space) key in kept.Keys.ToArray())
                        {
                            if (ReferenceEquals(key.Process, process))
                            {
                                kept.Remove(key);
                            }
                        }

                        if (operation == 2)
                        {
                            running[pid] = system.Processes.Open(pid).Value!;
                        }
                    }

                    break;
                case 3:
                    Assert.True(system.Core.UnbindAll(device).IsOk);
                    Drop(key => ReferenceEquals(key.Device, device));
                    break;
                case 4 or 5:
                    bool isBound = runs && bound.ContainsKey((process!, device));
                    Pasid pasid = isBound ? bound[(process!, device)] : new Pasid(0xFFFF);
                    Assert.Equal(isBound ? Errno.None : Errno.ESRCH, system.Core.Unbind(device, pasid).Errno);
                    if (isBound)
                    {
                        bound.Remove((process!, device));
                    }

                    break;
                case var _ when runs:
                    OpResult<Pasid> result = system.Core.Bind(device, process!);
                    if (bound.ContainsKey((process!, device)))
                    {
                        Assert.Equal(Errno.EEXIST, result.Errno);
                        break;
                    }

                    Assert.True(result.IsOk, result.ToString());

                    // C1, C2: the PASID of this process in this space, if it has one.
                    foreach (((IAddressSpace other, Device on), Pasid theirs) in bound)
                    {
                        if (ReferenceEquals(on.Domain.Space, device.Domain.Space))
                        {
                            Assert.Equal(ReferenceEquals(other, process), theirs == result.Value);
                        }
                    }

                    if (lifetime == PasidOptions.LifetimeProcessDeath
                        && !kept.TryAdd((process!, device.Domain.Space), result.Value))
                    {
                        Assert.Equal(kept[(process!, device.Domain.Space)], result.Value);
                    }

                    bound[(process!, device)] = result.Value;
                    break;
                default:
                    break;
            }

            int links = bound.Keys.Select(k => (k.Process, k.Device.Domain)).Distinct().Count();
            Assert.Equal(links, one.Entries + two.Entries);
            var spaces = devices.Select(d => d.Domain.Space).Distinct().ToList();
            int live = lifetime == PasidOptions.LifetimeProcessDeath
                ? kept.Count
                : bound.Keys.Select(k => (k.Process, k.Device.Domain.Space)).Distinct().Count();
            Assert.Equal(live, spaces.Sum(s => s.LiveCount));
            foreach (((IAddressSpace owner, Device on), Pasid theirs) in bound)
            {
                IommuProcess? found = on.Domain.Space.Find(theirs);
                Assert.Same(owner, found?.AddressSpace);
                found!.Put();
            }

            Assert.Empty(one.BrokenPromises.Concat(two.BrokenPromises));
        }

        void Drop(Func<(IAddressSpace Process, Device Device), bool> which)
        {
            foreach ((IAddressSpace Process, Device Device) key in bound.Keys.Where(which).ToArray())
            {
                bound.Remove(key);
            }
        }
    }
}
