// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Loader;
using PasidFramework.Hosting.Plugins;

namespace PasidFramework.Hosting.Tests;

/// <summary>What is refused, each with one line, while the others load.</summary>
public sealed class PluginRefusalTests
{
    [Fact]
    public void Behaviour_2_a_contract_that_is_not_shared_is_named_instead_of_finding_nothing()
    {
        using PluginFolder folder = new();
        string path = folder.Add("BringsItsOwnCore");

        // The host shares everything but the contract, as a host without a list of shared assemblies would.
        using PluginCatalog catalog = PluginCatalog.Load(
            [folder.Root],
            new PluginHostServices(),
            HostAssemblies.DefaultShared.Where(name => name != HostAssemblies.ContractName).ToFrozenSet());

        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal((path, RefusalReason.ContractNotShared), (refusal.Path, refusal.Reason));
        string copy = Path.Combine(Path.GetDirectoryName(path)!, "PasidFramework.Core.dll");
        Assert.Equal(
            "driver 'self-sufficient' is exported by the file, yet composition found none: its own copy "
                + "PasidFramework.Core, "
                + $"Version=1.0.0.0, Culture=neutral, PublicKeyToken=null was loaded from {copy}, while "
                + "PasidFramework.Contracts.IPasidDriver of the host is of PasidFramework.Core, Version=1.0.0.0, "
                + $"Culture=neutral, PublicKeyToken=null from {typeof(IPasidDriver).Assembly.Location}",
            refusal.Message);
    }

    [Fact]
    public void A_list_of_structures_with_a_hole_is_the_plug_ins_fault_and_no_other()
    {
        using PluginFolder folder = new();
        folder.Add("Good");
        string path = folder.Add("NullStructures");
        using PluginCatalog catalog = folder.Load();

        Assert.Equal("good", Assert.Single(catalog.Drivers).Name);
        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal(
            (path, RefusalReason.InvalidExport, "structure 1 of 'null-structures' is null"),
            (refusal.Path, refusal.Reason, refusal.Message));
        Assert.Empty(catalog.Allocators);
    }

    [Fact]
    public void Behaviour_3_garbage_is_named_and_hides_nothing()
    {
        using PluginFolder folder = new();
        folder.Add("Good");
        string loose = folder.AddFile("loose.dll", "MZ this is not a program"u8.ToArray());
        string inFolder = folder.AddFile("broken/broken.dll", [1, 2, 3]);
        string empty = folder.AddFile("empty/empty.dll", []);
        using PluginCatalog catalog = folder.Load();

        Assert.Equal("good", Assert.Single(catalog.Drivers).Name);
        Assert.Equal([inFolder, empty, loose], catalog.Refusals.Select(refusal => refusal.Path));
        Assert.All(catalog.Refusals, refusal => Assert.Equal(RefusalReason.NotAnAssembly, refusal.Reason));
        Assert.All(catalog.Refusals, refusal => Assert.StartsWith("not a .NET assembly (", refusal.Message));
        AssertOneLineEach(catalog);
    }

    [Fact]
    public void Behaviour_3_an_assembly_that_is_cut_off_anywhere_is_refused()
    {
        byte[] whole = File.ReadAllBytes(
            Path.Combine(PluginFolder.Built("NeedsAbsentFormat"), PluginFolder.FileName("NeedsAbsentFormat")));
        for (int length = 1; length < whole.Length; length += 97)
        {
            using PluginFolder folder = new();
            string path = folder.AddFile("cut.dll", whole[..length]);
            using PluginCatalog catalog = folder.Load();

            RefusedPlugin refusal = Assert.Single(catalog.Refusals);
            Assert.Equal((path, RefusalReason.NotAnAssembly), (refusal.Path, refusal.Reason));
            AssertOneLineEach(catalog);
        }
    }

    [Fact]
    public void Behaviour_3_an_assembly_with_flipped_bytes_never_ends_the_search()
    {
        byte[] whole = File.ReadAllBytes(
            Path.Combine(PluginFolder.Built("WrongContractMajor"), PluginFolder.FileName("WrongContractMajor")));
        Random random = new(20170929);
        for (int round = 0; round < 150; round++)
        {
            using PluginFolder folder = new();
            byte[] bytes = [.. whole];
            for (int flips = 0; flips < 1 + (round % 20); flips++)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            folder.AddFile("flipped.dll", bytes);
            List<RefusedPlugin> refusals = [];
            List<string> warnings = [];
            HostAssemblies host = new(HostAssemblies.DefaultShared);
            PluginPreflight preflight = new(host, warnings);
            foreach (AssemblyHeader header in PluginFinder.Find([folder.Root], host.Shared, refusals, warnings))
            {
                if (preflight.Inspect(header, out RefusedPlugin? refusal) is null)
                {
                    refusals.Add(refusal!);
                }
            }

            Assert.All(refusals, refusal => Assert.DoesNotContain('\n', refusal.ToString()));
        }
    }

    [Fact]
    public void Behaviour_4_a_missing_dependency_is_named()
    {
        using PluginFolder folder = new();
        folder.Add("Good");
        string path = folder.Add("MissingDependency");
        using PluginCatalog catalog = folder.Load();

        AssertRefused(
            catalog,
            path,
            RefusalReason.MissingDependency,
            "needs PasidFramework.TestDrivers.GoodLibrary 1.0.0.0, and it is not beside the plug-in");
        Assert.Equal("good", Assert.Single(catalog.Drivers).Name);
    }

    [Fact]
    public void Behaviour_4_a_dependency_that_the_deps_file_names_and_was_not_copied_is_named()
    {
        using PluginFolder folder = new();
        string path = folder.Add("Good");
        File.Delete(Path.Combine(folder.Root, "Good", PluginFolder.FileName("GoodLibrary")));
        using PluginCatalog catalog = folder.Load();

        AssertRefused(
            catalog,
            path,
            RefusalReason.MissingDependency,
            "needs PasidFramework.TestDrivers.GoodLibrary 1.0.0.0, and it is not beside the plug-in");
    }

    [Fact]
    public void Behaviour_4_a_dependency_that_is_garbage_is_named()
    {
        using PluginFolder folder = new();
        string path = folder.Add("Good");
        string library = folder.AddFile(Path.Combine("Good", PluginFolder.FileName("GoodLibrary")), [0]);
        using PluginCatalog catalog = folder.Load();

        RefusedPlugin refusal = Assert.Single(catalog.Refusals, refusal => refusal.Path == path);
        Assert.Equal(RefusalReason.MissingDependency, refusal.Reason);
        Assert.StartsWith(
            $"needs PasidFramework.TestDrivers.GoodLibrary 1.0.0.0, but {library}: not a .NET assembly",
            refusal.Message);
        Assert.Empty(catalog.Drivers);
    }

    [Fact]
    public void Behaviours_7_and_8_two_drivers_in_one_assembly_are_refused()
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Twice");
        emitted.AddDriver("Twice.First", "first");
        emitted.AddDriver("Twice.Second", "second");
        AssertRefused(
            folder,
            emitted,
            RefusalReason.InvalidExport,
            "exports two drivers, 'first' (Twice.First) and 'second' (Twice.Second): one driver per assembly is the "
                + "limit");
    }

    [Fact]
    public void Behaviour_10_a_driver_without_a_public_constructor_is_refused()
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Shy");
        emitted.AddDriver("Shy.Driver", "shy", constructor: MethodAttributes.Private);
        AssertRefused(
            folder,
            emitted,
            RefusalReason.NoImportingConstructor,
            "Shy.Driver has no importing constructor: a public one without parameters, or one with "
                + "[ImportingConstructor], "
                + "is expected");
    }

    [Fact]
    public void Behaviour_11_a_constructor_with_parameters_must_be_an_importing_one()
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Greedy");
        emitted.AddDriver("Greedy.Driver", "greedy", parameters: [typeof(string)]);
        AssertRefused(
            folder,
            emitted,
            RefusalReason.NoImportingConstructor,
            "Greedy.Driver has no importing constructor: a public one without parameters, or one with "
                + "[ImportingConstructor], "
                + "is expected");
    }

    [Fact]
    public void Behaviours_12_13_and_21_an_export_without_the_metadata_is_refused_before_composition_trips_over_it()
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Plain");
        emitted.AddDriver("Plain.Named", "plain");
        emitted.AddClass(
            "Plain.Unnamed",
            [typeof(IPasidDriver)],
            export: type => type.SetCustomAttribute(new CustomAttributeBuilder(
                typeof(System.Composition.ExportAttribute).GetConstructor([typeof(Type)])!, [typeof(IPasidDriver)])));
        AssertRefused(
            folder,
            emitted,
            RefusalReason.InvalidExport,
            "Plain.Unnamed has [Export(typeof(PasidFramework.Contracts.IPasidDriver))], which carries no name: "
                + "[PasidDriver], "
                + "[PasidTableFormat] or [PasidAllocator] is expected");
    }

    [Fact]
    public void Behaviour_16_a_throwing_constructor_is_reported_by_its_own_exception()
    {
        using PluginFolder folder = new();
        folder.Add("Good");
        string path = folder.Add("ThrowingConstructor");
        using PluginCatalog catalog = folder.Load();

        AssertRefused(
            catalog,
            path,
            RefusalReason.ConstructorThrew,
            "making driver 'throwing' failed: it threw System.NotSupportedException: no such chipset on this machine");
        Assert.Equal("good", Assert.Single(catalog.Drivers).Name);
    }

    [Fact]
    public void Behaviour_17_an_attribute_on_a_base_class_exports_nothing()
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Inherited");
        TypeBuilder parent = emitted.AddClass(
            "Inherited.Base",
            attributes: TypeAttributes.Public | TypeAttributes.Abstract,
            export: type => emitted.ExportDriver(type, "inherited", "inherited-table", 20));
        emitted.AddClass("Inherited.Driver", parent: parent);
        AssertRefused(
            folder,
            emitted,
            RefusalReason.InvalidExport,
            "Inherited.Base is abstract and cannot be exported: exports are not inherited, put the attribute on the "
                + "concrete "
                + "class");
    }

    [Fact]
    public void A_class_that_is_no_driver_is_refused()
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Impostor");
        emitted.AddClass("Impostor.Driver", export: type =>
            emitted.ExportDriver(type, "impostor", "impostor-table", 20));
        AssertRefused(
            folder,
            emitted,
            RefusalReason.InvalidExport,
            "Impostor.Driver is exported and does not implement PasidFramework.Contracts.IPasidDriver");
    }

    [Fact]
    public void A_class_that_is_no_table_format_or_allocator_is_refused()
    {
        using PluginFolder folder = new();
        EmittedAssembly format = new("FormatImpostor");
        format.AddClass("FormatImpostor.Format", export: type => format.ExportTableFormat(type, "impostor"));
        AssertRefused(
            folder,
            format,
            RefusalReason.InvalidExport,
            "FormatImpostor.Format is exported and does not implement PasidFramework.Contracts.IPasidTableFormat");

        using PluginFolder other = new();
        EmittedAssembly allocator = new("AllocatorImpostor");
        allocator.AddClass("AllocatorImpostor.Policy", export: type => allocator.ExportAllocator(type, "impostor"));
        AssertRefused(
            other,
            allocator,
            RefusalReason.InvalidExport,
            "AllocatorImpostor.Policy is exported and does not implement "
                + "PasidFramework.Allocation.IPasidAllocatorFactory");
    }

    [Theory]
    [InlineData("Bad Name", "t", 20, "the driver name 'Bad Name': one or more of a-z, 0-9 and dashes are expected")]
    [InlineData("", "t", 20, "the driver name '': one or more of a-z, 0-9 and dashes are expected")]
    [InlineData(null, "t", 20, "the driver name '': one or more of a-z, 0-9 and dashes are expected")]
    [InlineData("n", "T", 20, "the table format name 'T': one or more of a-z, 0-9 and dashes are expected")]
    [InlineData("n", "t", 0, "driver 'n' states a PASID width of 0 bits: 1 to 20 are expected")]
    [InlineData("n", "t", 21, "driver 'n' states a PASID width of 21 bits: 1 to 20 are expected")]
    [InlineData("n", "t", -1, "driver 'n' states a PASID width of -1 bits: 1 to 20 are expected")]
    public void Metadata_outside_of_its_limits_is_refused(string? name, string? format, int bits, string expected)
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Odd");
        emitted.AddClass(
            "Odd.Driver", [typeof(IPasidDriver)], export: type => emitted.ExportDriver(type, name, format, bits));
        emitted.Save(Path.Combine(folder.Root, "odd", "Odd.dll"));
        using PluginCatalog catalog = folder.Load();

        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal(RefusalReason.InvalidMetadata, refusal.Reason);
        Assert.EndsWith(expected, refusal.Message);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    public void Metadata_at_its_limits_is_accepted(int bits)
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Limit");
        emitted.AddDriver("Limit.Driver", "0-z", "9-a", bits);
        emitted.Save(Path.Combine(folder.Root, "Limit.dll"));
        using PluginCatalog catalog = folder.Load();

        Assert.Empty(catalog.Refusals);
        LoadedDriver driver = Assert.Single(catalog.Drivers);
        Assert.Equal((bits, new Version(3, 2, 1, 0)), (driver.Metadata.PasidBits, driver.AssemblyVersion));
    }

    [Fact]
    public void An_assembly_without_an_export_is_refused_where_it_claims_to_be_a_plugin()
    {
        using PluginFolder folder = new();
        string inFolder = folder.Add("NoExport");
        string loose = folder.AddLoose("NoExport");
        using PluginCatalog catalog = folder.Load();

        const string Message = "exports nothing: no class has [PasidDriver], [PasidTableFormat] or [PasidAllocator]";
        Assert.Equal(
            [(inFolder, RefusalReason.NoExport, Message), (loose, RefusalReason.NoExport, Message)],
            catalog.Refusals.Select(refusal => (refusal.Path, refusal.Reason, refusal.Message)));
    }

    [Fact]
    public void Only_the_folders_own_assembly_answers_for_a_folder_without_exports()
    {
        using PluginFolder folder = new();
        folder.Add("NoExport", "plugin");
        string own = Path.Combine(folder.Root, "plugin", "plugin.dll");
        EmittedAssembly emitted = new("Nothing");
        emitted.AddClass("Nothing.Here");
        emitted.Save(own);
        using PluginCatalog catalog = folder.Load();

        Assert.Equal(own, Assert.Single(catalog.Refusals).Path);
    }

    [Fact]
    public void An_empty_folder_is_a_warning()
    {
        using PluginFolder folder = new();
        string empty = Directory.CreateDirectory(Path.Combine(folder.Root, "empty")).FullName;
        using PluginCatalog catalog = folder.Load();

        Assert.Empty(catalog.Refusals);
        Assert.Equal($"{empty}: no assembly (*.dll) of a plug-in in this folder", Assert.Single(catalog.Warnings));
    }

    [Fact]
    public void A_stated_contract_of_another_major_version_is_refused()
    {
        using PluginFolder folder = new();
        string path = folder.Add("WrongContractMajor");
        using PluginCatalog catalog = folder.Load();

        AssertRefused(
            catalog,
            path,
            RefusalReason.ContractTooNew,
            "driver 'other-major' needs driver contract 2.3, this host has 1.0: it needs a newer framework");
    }

    [Fact]
    public void A_stated_contract_of_a_newer_minor_version_is_refused()
    {
        using PluginFolder folder = new();
        string path = folder.Add("NewerContractMinor");
        using PluginCatalog catalog = folder.Load();

        AssertRefused(
            catalog,
            path,
            RefusalReason.ContractTooNew,
            "driver 'newer-minor' needs driver contract 1.99, this host has 1.0: it needs a newer framework");
    }

    [Theory]
    [InlineData(2, RefusalReason.ContractTooNew, "it needs a newer framework")]
    [InlineData(0, RefusalReason.ContractTooOld, "it must be compiled anew for this framework")]
    public void Version_matrix_a_driver_compiled_against_another_major_version_is_refused_without_running(
        int major, RefusalReason reason, string advice)
    {
        using PluginFolder folder = new();
        using PluginFolder elsewhere = new();
        using OtherContract other = new(elsewhere.Root, new Version(major, 0, 0, 0), ["Renamed"]);
        EmittedAssembly emitted = new("Other", other.Contract);
        emitted.AddDriver("Other.Driver", "other");
        AssertRefused(
            folder,
            emitted,
            reason,
            $"was compiled against PasidFramework.Core {major}.0.0.0, this host has 1.0.0.0: {advice}");
    }

    [Fact]
    public void Version_matrix_a_driver_that_lacks_a_member_of_the_contract_is_refused_by_its_name()
    {
        using PluginFolder folder = new();
        using PluginFolder elsewhere = new();
        using OtherContract other = new(elsewhere.Root, new Version(1, 0, 0, 0), []);
        EmittedAssembly emitted = new("Stale", other.Contract);
        emitted.AddDriver("Stale.Driver", "stale");
        string path = emitted.Save(Path.Combine(folder.Root, "stale", "Stale.dll"));
        folder.Add("Good");
        using PluginCatalog catalog = folder.Load();

        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal((path, RefusalReason.TypeLoadFailed), (refusal.Path, refusal.Reason));
        Assert.StartsWith("reading its parts failed: System.TypeLoadException: Method 'CreateHardware' in type "
            + "'Stale.Driver'", refusal.Message);
        Assert.Contains("does not have an implementation", refusal.Message);
        Assert.Equal("good", Assert.Single(catalog.Drivers).Name);
    }

    [Fact]
    public void Version_matrix_an_attribute_value_that_this_host_does_not_know_asks_for_a_newer_one()
    {
        using PluginFolder folder = new();
        using PluginFolder elsewhere = new();
        using OtherContract other = new(elsewhere.Root, new Version(1, 0, 0, 0), []);
        EmittedAssembly emitted = new("Later", other.Contract);
        emitted.AddClass(
            "Later.Driver",
            [other.Contract.Driver],
            export: type => emitted.ExportDriver(type, "later", "later-table", 20, OtherContract.LaterProperty));
        AssertRefused(
            folder,
            emitted,
            RefusalReason.ContractTooNew,
            "Later.Driver states a value that this host's [PasidDriver] does not have: it needs a newer framework");
    }

    [Fact]
    public void Version_matrix_a_shared_assembly_newer_than_the_hosts_is_refused()
    {
        using PluginFolder folder = new();
        EmittedAssembly future = new("PasidFramework.Future");
        future.AddDriver("Future.Driver", "future");
        string path = future.Save(Path.Combine(folder.Root, "Future.dll"));

        // The reference's version stands in the file as 16-bit numbers: 1.0.0.0 becomes 1.0.5.0.
        byte[] bytes = File.ReadAllBytes(path);
        AssemblyHeader header = AssemblyHeader.Read(path, out _)!;
        Assert.Equal(new Version(1, 0, 0, 0),
            header.References.Single(name => name.Name == "PasidFramework.Core").Version);
        File.WriteAllBytes(path, WithReferenceBuild(bytes, "PasidFramework.Core", 5));
        using PluginCatalog catalog = folder.Load();

        AssertRefused(
            catalog,
            path,
            RefusalReason.ContractTooNew,
            "needs PasidFramework.Core 1.0.5.0, this host has 1.0.0.0: it needs a newer framework");
    }

    [Fact]
    public void The_first_of_two_drivers_of_one_name_wins_and_both_are_named()
    {
        using PluginFolder folder = new();
        string first = folder.Add("Good", "a");
        string second = folder.Add("DuplicateName", "b");
        using PluginCatalog catalog = folder.Load();

        Assert.Equal(first, Assert.Single(catalog.Drivers).Path);
        AssertRefused(
            catalog,
            second,
            RefusalReason.DuplicateName,
            $"driver 'good' is there already, from {first} (the first path in ordinal order wins)");
    }

    [Fact]
    public void The_order_of_two_drivers_of_one_name_is_that_of_their_paths()
    {
        using PluginFolder folder = new();
        string second = folder.Add("Good", "b");
        string first = folder.Add("DuplicateName", "a");
        using PluginCatalog catalog = folder.Load();

        Assert.Equal(first, Assert.Single(catalog.Drivers).Path);
        Assert.Equal(second, Assert.Single(catalog.Refusals).Path);
        Assert.Empty(catalog.TableFormats); // A plug-in is loaded as a whole or not at all.
    }

    [Fact]
    public void A_name_is_free_again_when_the_first_driver_of_that_name_cannot_be_made()
    {
        using PluginFolder folder = new();
        string first = SaveFailingDriver(folder, "a", "good");
        string second = folder.Add("Good", "b");
        using PluginCatalog catalog = folder.Load();

        Assert.Equal(second, Assert.Single(catalog.Drivers).Path);
        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal((first, RefusalReason.ConstructorThrew), (refusal.Path, refusal.Reason));
    }

    [Fact]
    public void An_earlier_driver_of_the_name_is_tried_first_even_when_the_later_one_is_wanted_by_an_importer()
    {
        using PluginFolder folder = new();
        string importer = folder.Add("ImportsFormats", "a");
        string first = SaveFailingDriver(folder, "b", "good");
        string second = folder.Add("Good", "c");
        using PluginCatalog catalog = folder.Load();

        Assert.Equal([importer, second], catalog.Drivers.Select(driver => driver.Path));
        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal((first, RefusalReason.ConstructorThrew), (refusal.Path, refusal.Reason));
    }

    [Fact]
    public void Two_allocators_or_two_table_formats_of_one_name_are_refused()
    {
        using PluginFolder folder = new();
        string allocator = folder.Add("AllocatorOnly", "a");
        string allocatorAgain = folder.Add("AllocatorOnly", "b");
        string format = folder.Add("Good", "c");
        EmittedAssembly again = new("Again");
        again.AddClass(
            "Again.Format", [typeof(IPasidTableFormat)], export: type => again.ExportTableFormat(type, "good-table"));
        string formatAgain = again.Save(Path.Combine(folder.Root, "d", "Again.dll"));
        using PluginCatalog catalog = folder.Load();

        Assert.Equal(
            [
                (allocatorAgain, RefusalReason.DuplicateName,
                    $"allocator 'odd' is there already, from {allocator} (the first path in ordinal order wins)"),
                (formatAgain, RefusalReason.DuplicateName,
                    $"table format 'good-table' is there already, from {format} (the first path in ordinal order "
                        + $"wins)"),
            ],
            catalog.Refusals.Select(refusal => (refusal.Path, refusal.Reason, refusal.Message)));
    }

    [Fact]
    public void Page_tables_whose_name_the_framework_or_an_earlier_plug_in_has_are_refused_in_one_line()
    {
        using PluginFolder folder = new();
        string cpu = folder.Add("CpuPages", "a");
        string first = folder.Add("Structures", "b");
        string second = folder.Add("SecondPages", "c");
        using PluginCatalog catalog = folder.Load();

        Assert.Equal(
            [
                (cpu, RefusalReason.DuplicateName, "page tables 'x86-64' are there already, from the framework itself"),
                (second, RefusalReason.DuplicateName,
                    $"page tables 'test' are there already, from {first} (the first path in ordinal order wins)"),
            ],
            catalog.Refusals.Select(refusal => (refusal.Path, refusal.Reason, refusal.Message)));
        Assert.Equal(["plain"], catalog.Allocators.Keys); // A plug-in is loaded as a whole or not at all.
        Assert.Same(FrameworkPageTables.All["x86-64"], catalog.PageTables["x86-64"]);
    }

    [Fact]
    public void A_mandatory_import_without_an_export_is_refused_by_the_formats_name()
    {
        using PluginFolder folder = new();
        string path = folder.Add("NeedsAbsentFormat");
        using PluginCatalog catalog = folder.Load();

        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal((path, RefusalReason.UnsatisfiedImport), (refusal.Path, refusal.Reason));
        Assert.StartsWith(
            "making driver 'demanding' failed: it imports table format 'absent-format', which no loaded plug-in "
                + "exports (",
            refusal.Message);
        AssertOneLineEach(catalog);
    }

    [Fact]
    public void An_import_of_something_else_names_the_contract()
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Wishful");
        emitted.AddDriver("Wishful.Driver", "wishful", parameters: [typeof(Uri)], importing: true);
        string path = emitted.Save(Path.Combine(folder.Root, "Wishful.dll"));
        using PluginCatalog catalog = folder.Load();

        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal((path, RefusalReason.UnsatisfiedImport), (refusal.Path, refusal.Reason));
        Assert.StartsWith("making driver 'wishful' failed: ", refusal.Message);
        Assert.Contains("'Uri'", refusal.Message);
        AssertOneLineEach(catalog);
    }

    [Fact]
    public void Who_imports_from_a_refused_plugin_is_refused_too()
    {
        using PluginFolder folder = new();
        string importer = folder.Add("ImportsFormats", "a");
        string exporter = folder.Add("Good", "b");
        File.Delete(Path.Combine(folder.Root, "b", PluginFolder.FileName("GoodLibrary")));
        using PluginCatalog catalog = folder.Load();

        Assert.Equal(
            [(importer, RefusalReason.UnsatisfiedImport), (exporter, RefusalReason.MissingDependency)],
            catalog.Refusals.Select(refusal => (refusal.Path, refusal.Reason)));
        Assert.Empty(catalog.Drivers);
    }

    [Fact]
    public void A_table_format_that_calls_itself_otherwise_is_refused()
    {
        using PluginFolder folder = new();
        EmittedAssembly emitted = new("Nameless");
        emitted.AddClass(
            "Nameless.Format", [typeof(IPasidTableFormat)], export: type =>
                emitted.ExportTableFormat(type, "nameless"));
        string path = emitted.Save(Path.Combine(folder.Root, "Nameless.dll"));
        using PluginCatalog catalog = folder.Load();

        // The emitted getter throws: an exception out of a property is a line as well.
        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal((path, RefusalReason.ConstructorThrew), (refusal.Path, refusal.Reason));
        Assert.StartsWith("making table format 'nameless' failed: it threw System.NullReferenceException",
            refusal.Message);
    }

    [Fact]
    public void Nothing_of_a_refused_file_runs()
    {
        const string Ran = "PasidFramework.TestDrivers.ModuleInitialiser.Ran";
        using PluginFolder folder = new();
        string path = folder.Add("ModuleInitialiser");
        using (PluginCatalog catalog = folder.Load())
        {
            AssertRefused(
                catalog,
                path,
                RefusalReason.ContractTooNew,
                "driver 'eager' needs driver contract 7.0, this host has 1.0: it needs a newer framework");
            Assert.False(AppContext.TryGetSwitch(Ran, out _));
        }

        // The counter-check: once its code is touched, the initialiser does run.
        AssemblyLoadContext context = new("counter-check", isCollectible: true);
        System.Runtime.CompilerServices.RuntimeHelpers.RunModuleConstructor(
            context.LoadFromAssemblyPath(path).ManifestModule.ModuleHandle);
        Assert.True(AppContext.TryGetSwitch(Ran, out bool ran) && ran);
        context.Unload();
    }

    [Fact]
    public void One_of_each_kind_together_leaves_the_good_ones_loaded()
    {
        using PluginFolder folder = new();
        string[] broken =
        [
            folder.Add("MissingDependency"),
            folder.Add("NeedsAbsentFormat"),
            folder.Add("NewerContractMinor"),
            folder.Add("NoExport"),
            folder.Add("ThrowingConstructor"),
            folder.Add("WrongContractMajor"),
            folder.AddFile("garbage.dll", [7]),
        ];
        folder.Add("AllocatorOnly");
        folder.Add("BringsItsOwnCore");
        folder.Add("Good");
        folder.Add("ImportsFormats");
        using PluginCatalog catalog = folder.Load();

        Assert.Equal(["borrowing", "good", "self-sufficient"], catalog.Drivers.Select(driver => driver.Name));
        Assert.Equal(["odd"], catalog.Allocators.Keys);
        Assert.Equal(["good-table"], catalog.TableFormats.Keys);
        Assert.Equal(broken.Order(StringComparer.Ordinal), catalog.Refusals.Select(refusal => refusal.Path));
        AssertOneLineEach(catalog);
    }

    private static void AssertRefused(PluginFolder folder, EmittedAssembly emitted, RefusalReason reason,
        string message)
    {
        string path = emitted.Save(Path.Combine(folder.Root, "emitted", "Emitted.dll"));
        using PluginCatalog catalog = folder.Load();
        AssertRefused(catalog, path, reason, message);
        Assert.Empty(catalog.Drivers);
        Assert.DoesNotContain(AssemblyLoadContext.All, context => context.Name == path);
    }

    private static void AssertRefused(PluginCatalog catalog, string path, RefusalReason reason, string message)
    {
        RefusedPlugin refusal = Assert.Single(catalog.Refusals);
        Assert.Equal(new RefusedPlugin(path, reason, message), refusal);
        Assert.Equal($"{path}: {message}", refusal.ToString());
    }

    private static void AssertOneLineEach(PluginCatalog catalog)
    {
        Assert.All(catalog.Refusals, refusal => Assert.DoesNotContain('\n', refusal.ToString()));
        Assert.All(catalog.Warnings, warning => Assert.DoesNotContain('\n', warning));
    }

    private static string SaveFailingDriver(PluginFolder folder, string subFolder, string name)
    {
        EmittedAssembly failing = new("Failing");
        failing.AddDriver("Failing.Driver", name, body: code =>
        {
            code.Emit(OpCodes.Newobj, typeof(InvalidOperationException).GetConstructor([])!);
            code.Emit(OpCodes.Throw);
        });
        return failing.Save(Path.Combine(folder.Root, subFolder, "Failing.dll"));
    }

    private static byte[] WithReferenceBuild(byte[] file, string reference, ushort build)
    {
        using System.Reflection.PortableExecutable.PEReader reader = new(new MemoryStream(file));
        System.Reflection.Metadata.MetadataReader metadata =
            System.Reflection.Metadata.PEReaderExtensions.GetMetadataReader(reader);
        System.Reflection.Metadata.AssemblyReferenceHandle handle = metadata.AssemblyReferences.Single(candidate =>
            metadata.GetString(metadata.GetAssemblyReference(candidate).Name) == reference);
        int row = System.Reflection.Metadata.Ecma335.MetadataTokens.GetRowNumber(handle) - 1;
        int table = System.Reflection.Metadata.Ecma335.MetadataReaderExtensions.GetTableMetadataOffset(
            metadata, System.Reflection.Metadata.Ecma335.TableIndex.AssemblyRef);
        int size = System.Reflection.Metadata.Ecma335.MetadataReaderExtensions.GetTableRowSize(
            metadata, System.Reflection.Metadata.Ecma335.TableIndex.AssemblyRef);

        // ECMA-335 II.22.5: MajorVersion, MinorVersion, BuildNumber, RevisionNumber, two bytes each.
        BitConverter.TryWriteBytes(file.AsSpan(reader.PEHeaders.MetadataStartOffset + table + (row * size) + 4), build);
        return file;
    }
}
