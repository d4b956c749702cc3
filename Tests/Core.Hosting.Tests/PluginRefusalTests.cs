// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;
using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Runtime.Loader;

namespace PasidFramework.Hosting.Tests;

/// <summary>What is refused, each with one line, while the others load.</summary>
public sealed class PluginRefusalTests : PluginTests
{
    private const string NoImportingConstructor = "E.Driver has no importing constructor: a public one without "
        + "parameters, or one with [ImportingConstructor], is expected";

    private static readonly Dictionary<string, (Action<EmittedAssembly> Add, RefusalReason Reason, string Message)>
        s_emitted = new()
        {
            ["7, 8: two drivers in one assembly"] = (
                emitted =>
                {
                    emitted.AddDriver("E.First", "first");
                    emitted.AddDriver("E.Second", "second");
                },
                RefusalReason.InvalidExport,
                "exports two drivers, 'first' (E.First) and 'second' (E.Second): one driver per assembly is the limit"),
            ["10: a driver without a public constructor"] = (
                emitted => emitted.AddDriver("E.Driver", "shy", constructor: MethodAttributes.Private),
                RefusalReason.NoImportingConstructor, NoImportingConstructor),
            ["11: a constructor with parameters that is no importing one"] = (
                emitted => emitted.AddDriver("E.Driver", "greedy", parameters: [typeof(string)]),
                RefusalReason.NoImportingConstructor, NoImportingConstructor),
            ["12, 13, 21: an export without the metadata, before composition trips over it"] = (
                emitted =>
                {
                    emitted.AddDriver("E.Named", "plain");
                    emitted.AddClass("E.Unnamed", [typeof(IPasidDriver)], export: type => type.SetCustomAttribute(
                        new CustomAttributeBuilder(
                            typeof(System.Composition.ExportAttribute).GetConstructor([typeof(Type)])!,
                            [typeof(IPasidDriver)])));
                },
                RefusalReason.InvalidExport,
                "E.Unnamed has [Export(typeof(PasidFramework.Contracts.IPasidDriver))], which carries no name: "
                    + "[PasidDriver], [PasidTableFormat] or [PasidAllocator] is expected"),
            ["17: an attribute on a base class"] = (
                emitted => emitted.AddClass("E.Driver", parent: emitted.AddClass(
                    "E.Base", attributes: TypeAttributes.Public | TypeAttributes.Abstract,
                    export: type => emitted.ExportDriver(type, "inherited", "inherited-table", 20))),
                RefusalReason.InvalidExport,
                "E.Base is abstract and cannot be exported: exports are not inherited, put the attribute on the "
                    + "concrete class"),
            ["no driver"] = (
                emitted => emitted.AddClass("E.Driver", export: type => emitted.ExportDriver(type, "e", "e-table", 20)),
                RefusalReason.InvalidExport,
                "E.Driver is exported and does not implement PasidFramework.Contracts.IPasidDriver"),
            ["no table format"] = (
                emitted => emitted.AddClass("E.Format", export: type => emitted.ExportTableFormat(type, "e")),
                RefusalReason.InvalidExport,
                "E.Format is exported and does not implement PasidFramework.Contracts.IPasidTableFormat"),
            ["no allocator"] = (
                emitted => emitted.AddClass("E.Policy", export: type => emitted.ExportAllocator(type, "e")),
                RefusalReason.InvalidExport,
                "E.Policy is exported and does not implement PasidFramework.Allocation.IPasidAllocatorFactory"),
        };

    public static TheoryData<string> Emitted => [.. s_emitted.Keys];

    [Theory]
    [MemberData(nameof(Emitted))]
    public void A_class_with_a_fault_is_refused_whatever_the_compiler_lets_pass(string fault)
    {
        EmittedAssembly emitted = new("Emitted");
        s_emitted[fault].Add(emitted);
        AssertRefused(emitted, s_emitted[fault].Reason, s_emitted[fault].Message);
    }

    [Fact]
    public void Behaviour_2_a_contract_that_is_not_shared_is_named_instead_of_finding_nothing()
    {
        string path = Folder.Add("BringsItsOwnCore");

        // The host shares everything but the contract, as a host without a list of shared assemblies would.
        using PluginCatalog catalog = PluginCatalog.Load(
            [Folder.Root],
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
        Folder.Add("Good");
        string path = Folder.Add("NullStructures");

        AssertLoaded("good");
        AssertRefused(path, RefusalReason.InvalidExport, "structure 1 of 'null-structures' is null");
        Assert.Empty(Catalog.Allocators);
    }

    [Fact]
    public void Behaviour_3_garbage_is_named_and_hides_nothing()
    {
        Folder.Add("Good");
        string loose = Folder.AddFile("loose.dll", "MZ this is not a program"u8.ToArray());
        string inFolder = Folder.AddFile("broken/broken.dll", [1, 2, 3]);
        string empty = Folder.AddFile("empty/empty.dll", []);

        AssertLoaded("good");
        Assert.Equal([inFolder, empty, loose], Catalog.Refusals.Select(refusal => refusal.Path));
        Assert.All(Catalog.Refusals, refusal => Assert.Equal(RefusalReason.NotAnAssembly, refusal.Reason));
        Assert.All(Catalog.Refusals, refusal => Assert.StartsWith("not a .NET assembly (", refusal.Message));
        AssertOneLineEach();
    }

    [Fact]
    public void Behaviour_3_an_assembly_that_is_cut_off_anywhere_is_refused()
    {
        byte[] whole = File.ReadAllBytes(
            Path.Combine(PluginFolder.Built("NeedsAbsentFormat"), PluginFolder.FileName("NeedsAbsentFormat")));
        for (int length = 1; length < whole.Length; length += 97)
        {
            string path = Folder.AddFile("cut.dll", whole[..length]);
            using PluginCatalog catalog = Folder.Load();

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
            byte[] bytes = [.. whole];
            for (int flips = 0; flips < 1 + (round % 20); flips++)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            Folder.AddFile("flipped.dll", bytes);
            List<RefusedPlugin> refusals = [];
            List<string> warnings = [];
            HostAssemblies host = new(HostAssemblies.DefaultShared);
            PluginPreflight preflight = new(host, warnings);
            foreach (AssemblyHeader header in PluginFinder.Find([Folder.Root], host.Shared, refusals, warnings))
            {
                if (preflight.Inspect(header, out RefusedPlugin? refusal) is null)
                {
                    refusals.Add(refusal!);
                }
            }

            Assert.All(refusals, refusal => Assert.DoesNotContain('\n', refusal.ToString()));
        }
    }

    [Theory]
    [InlineData("MissingDependency", RefusalReason.MissingDependency,
        "needs PasidFramework.TestDrivers.GoodLibrary 1.0.0.0, and it is not beside the plug-in")]
    [InlineData("ThrowingConstructor", RefusalReason.ConstructorThrew,
        "making driver 'throwing' failed: it threw System.NotSupportedException: no such chipset on this machine")]
    [InlineData("WrongContractMajor", RefusalReason.ContractTooNew,
        "driver 'other-major' needs driver contract 2.3, this host has 1.0: it needs a newer framework")]
    [InlineData("NewerContractMinor", RefusalReason.ContractTooNew,
        "driver 'newer-minor' needs driver contract 1.99, this host has 1.0: it needs a newer framework")]
    public void Behaviours_4_and_16_a_plug_in_with_a_fault_is_refused_and_the_others_load(
        string plugIn, RefusalReason reason, string message)
    {
        Folder.Add("Good");

        AssertRefused(Folder.Add(plugIn), reason, message);

        AssertLoaded("good");
    }

    [Fact]
    public void Behaviour_4_a_dependency_that_the_deps_file_names_and_was_not_copied_is_named()
    {
        string path = Folder.Add("Good");
        File.Delete(Path.Combine(Folder.Root, "Good", PluginFolder.FileName("GoodLibrary")));

        AssertRefused(
            path, RefusalReason.MissingDependency,
            "needs PasidFramework.TestDrivers.GoodLibrary 1.0.0.0, and it is not beside the plug-in");
    }

    [Fact]
    public void Behaviour_4_a_dependency_that_is_garbage_is_named()
    {
        string path = Folder.Add("Good");
        string library = Folder.AddFile(Path.Combine("Good", PluginFolder.FileName("GoodLibrary")), [0]);

        RefusedPlugin refusal = Assert.Single(Catalog.Refusals, refusal => refusal.Path == path);
        Assert.Equal(RefusalReason.MissingDependency, refusal.Reason);
        Assert.StartsWith(
            $"needs PasidFramework.TestDrivers.GoodLibrary 1.0.0.0, but {library}: not a .NET assembly",
            refusal.Message);
        Assert.Empty(Catalog.Drivers);
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
        EmittedAssembly emitted = new("Odd");
        emitted.AddClass(
            "Odd.Driver", [typeof(IPasidDriver)], export: type => emitted.ExportDriver(type, name, format, bits));
        emitted.Save(Path.Combine(Folder.Root, "odd", "Odd.dll"));

        RefusedPlugin refusal = Assert.Single(Catalog.Refusals);
        Assert.Equal(RefusalReason.InvalidMetadata, refusal.Reason);
        Assert.EndsWith(expected, refusal.Message);
    }

    [Theory]
    [InlineData(1), InlineData(20)]
    public void Metadata_at_its_limits_is_accepted(int bits)
    {
        EmittedAssembly emitted = new("Limit");
        emitted.AddDriver("Limit.Driver", "0-z", "9-a", bits);
        emitted.Save(Path.Combine(Folder.Root, "Limit.dll"));

        Assert.Empty(Catalog.Refusals);
        LoadedDriver driver = Assert.Single(Catalog.Drivers);
        Assert.Equal((bits, new Version(3, 2, 1, 0)), (driver.Metadata.PasidBits, driver.AssemblyVersion));
    }

    [Fact]
    public void An_assembly_without_an_export_is_refused_where_it_claims_to_be_a_plugin()
    {
        string inFolder = Folder.Add("NoExport");
        string loose = Folder.AddLoose("NoExport");

        const string Message = "exports nothing: no class has [PasidDriver], [PasidTableFormat] or [PasidAllocator]";
        Assert.Equal(
            [(inFolder, RefusalReason.NoExport, Message), (loose, RefusalReason.NoExport, Message)],
            Catalog.Refusals.Select(refusal => (refusal.Path, refusal.Reason, refusal.Message)));
    }

    [Fact]
    public void Only_the_folders_own_assembly_answers_for_a_folder_without_exports()
    {
        Folder.Add("NoExport", "plugin");
        string own = Path.Combine(Folder.Root, "plugin", "plugin.dll");
        EmittedAssembly emitted = new("Nothing");
        emitted.AddClass("Nothing.Here");
        emitted.Save(own);

        Assert.Equal(own, Assert.Single(Catalog.Refusals).Path);
    }

    [Fact]
    public void An_empty_folder_is_a_warning()
    {
        string empty = Directory.CreateDirectory(Path.Combine(Folder.Root, "empty")).FullName;

        Assert.Empty(Catalog.Refusals);
        Assert.Equal($"{empty}: no assembly (*.dll) of a plug-in in this folder", Assert.Single(Catalog.Warnings));
    }

    [Theory]
    [InlineData(2, RefusalReason.ContractTooNew, "it needs a newer framework")]
    [InlineData(0, RefusalReason.ContractTooOld, "it must be compiled anew for this framework")]
    public void Version_matrix_a_driver_compiled_against_another_major_version_is_refused_without_running(
        int major, RefusalReason reason, string advice)
    {
        using OtherContract other = new(Elsewhere().Root, new Version(major, 0, 0, 0), ["Renamed"]);
        EmittedAssembly emitted = new("Other", other.Contract);
        emitted.AddDriver("Other.Driver", "other");
        AssertRefused(
            emitted, reason,
            $"was compiled against PasidFramework.Core {major}.0.0.0, this host has 1.0.0.0: {advice}");
    }

    [Fact]
    public void Version_matrix_a_driver_that_lacks_a_member_of_the_contract_is_refused_by_its_name()
    {
        using OtherContract other = new(Elsewhere().Root, new Version(1, 0, 0, 0), []);
        EmittedAssembly emitted = new("Stale", other.Contract);
        emitted.AddDriver("Stale.Driver", "stale");
        string path = emitted.Save(Path.Combine(Folder.Root, "stale", "Stale.dll"));
        Folder.Add("Good");

        RefusedPlugin refusal = AssertRefused(path, RefusalReason.TypeLoadFailed);
        Assert.StartsWith("reading its parts failed: System.TypeLoadException: Method 'CreateHardware' in type "
            + "'Stale.Driver'", refusal.Message);
        Assert.Contains("does not have an implementation", refusal.Message);
        AssertLoaded("good");
    }

    [Fact]
    public void Version_matrix_an_attribute_value_that_this_host_does_not_know_asks_for_a_newer_one()
    {
        using OtherContract other = new(Elsewhere().Root, new Version(1, 0, 0, 0), []);
        EmittedAssembly emitted = new("Later", other.Contract);
        emitted.AddClass(
            "Later.Driver",
            [other.Contract.Driver],
            export: type => emitted.ExportDriver(type, "later", "later-table", 20, OtherContract.LaterProperty));
        AssertRefused(
            emitted, RefusalReason.ContractTooNew,
            "Later.Driver states a value that this host's [PasidDriver] does not have: it needs a newer framework");
    }

    [Fact]
    public void Version_matrix_a_shared_assembly_newer_than_the_hosts_is_refused()
    {
        EmittedAssembly future = new("PasidFramework.Future");
        future.AddDriver("Future.Driver", "future");
        string path = future.Save(Path.Combine(Folder.Root, "Future.dll"));

        // The reference's version stands in the file as 16-bit numbers: 1.0.0.0 becomes 1.0.5.0.
        byte[] bytes = File.ReadAllBytes(path);
        AssemblyHeader header = AssemblyHeader.Read(path, out _)!;
        Assert.Equal(new Version(1, 0, 0, 0),
            header.References.Single(name => name.Name == "PasidFramework.Core").Version);
        File.WriteAllBytes(path, WithReferenceBuild(bytes, "PasidFramework.Core", 5));

        AssertRefused(
            path, RefusalReason.ContractTooNew,
            "needs PasidFramework.Core 1.0.5.0, this host has 1.0.0.0: it needs a newer framework");
    }

    [Fact]
    public void The_first_of_two_drivers_of_one_name_wins_and_both_are_named()
    {
        string first = Folder.Add("Good", "a");
        string second = Folder.Add("DuplicateName", "b");

        Assert.Equal(first, Assert.Single(Catalog.Drivers).Path);
        AssertRefused(
            second, RefusalReason.DuplicateName,
            $"driver 'good' is there already, from {first} (the first path in ordinal order wins)");
    }

    [Fact]
    public void The_order_of_two_drivers_of_one_name_is_that_of_their_paths()
    {
        string second = Folder.Add("Good", "b");
        string first = Folder.Add("DuplicateName", "a");

        Assert.Equal(first, Assert.Single(Catalog.Drivers).Path);
        Assert.Equal(second, Assert.Single(Catalog.Refusals).Path);
        Assert.Empty(Catalog.TableFormats); // A plug-in is loaded as a whole or not at all.
    }

    [Fact]
    public void A_name_is_free_again_when_the_first_driver_of_that_name_cannot_be_made()
    {
        string first = SaveFailingDriver("a", "good");
        string second = Folder.Add("Good", "b");

        Assert.Equal(second, Assert.Single(Catalog.Drivers).Path);
        AssertRefused(first, RefusalReason.ConstructorThrew);
    }

    [Fact]
    public void An_earlier_driver_of_the_name_is_tried_first_even_when_the_later_one_is_wanted_by_an_importer()
    {
        string importer = Folder.Add("ImportsFormats", "a");
        string first = SaveFailingDriver("b", "good");
        string second = Folder.Add("Good", "c");

        Assert.Equal([importer, second], Catalog.Drivers.Select(driver => driver.Path));
        AssertRefused(first, RefusalReason.ConstructorThrew);
    }

    [Fact]
    public void Two_allocators_or_two_table_formats_of_one_name_are_refused()
    {
        string allocator = Folder.Add("AllocatorOnly", "a");
        string allocatorAgain = Folder.Add("AllocatorOnly", "b");
        string format = Folder.Add("Good", "c");
        EmittedAssembly again = new("Again");
        again.AddClass(
            "Again.Format", [typeof(IPasidTableFormat)], export: type => again.ExportTableFormat(type, "good-table"));
        string formatAgain = again.Save(Path.Combine(Folder.Root, "d", "Again.dll"));

        Assert.Equal(
            [
                (allocatorAgain, RefusalReason.DuplicateName,
                    $"allocator 'odd' is there already, from {allocator} (the first path in ordinal order wins)"),
                (formatAgain, RefusalReason.DuplicateName,
                    $"table format 'good-table' is there already, from {format} (the first path in ordinal order "
                        + $"wins)"),
            ],
            Catalog.Refusals.Select(refusal => (refusal.Path, refusal.Reason, refusal.Message)));
    }

    [Fact]
    public void Page_tables_whose_name_the_framework_or_an_earlier_plug_in_has_are_refused_in_one_line()
    {
        string cpu = Folder.Add("CpuPages", "a");
        string first = Folder.Add("Structures", "b");
        string second = Folder.Add("SecondPages", "c");

        Assert.Equal(
            [
                (cpu, RefusalReason.DuplicateName, "page tables 'x86-64' are there already, from the framework itself"),
                (second, RefusalReason.DuplicateName,
                    $"page tables 'test' are there already, from {first} (the first path in ordinal order wins)"),
            ],
            Catalog.Refusals.Select(refusal => (refusal.Path, refusal.Reason, refusal.Message)));
        Assert.Equal(["plain"], Catalog.Allocators.Keys); // A plug-in is loaded as a whole or not at all.
        Assert.Same(FrameworkPageTables.All["x86-64"], Catalog.PageTables["x86-64"]);
    }

    [Fact]
    public void A_mandatory_import_without_an_export_is_refused_by_the_formats_name()
    {
        string path = Folder.Add("NeedsAbsentFormat");

        Assert.StartsWith(
            "making driver 'demanding' failed: it imports table format 'absent-format', which no loaded plug-in "
                + "exports (",
            AssertRefused(path, RefusalReason.UnsatisfiedImport).Message);
        AssertOneLineEach();
    }

    [Fact]
    public void An_import_of_something_else_names_the_contract()
    {
        EmittedAssembly emitted = new("Wishful");
        emitted.AddDriver("Wishful.Driver", "wishful", parameters: [typeof(Uri)], importing: true);
        string path = emitted.Save(Path.Combine(Folder.Root, "Wishful.dll"));

        RefusedPlugin refusal = AssertRefused(path, RefusalReason.UnsatisfiedImport);
        Assert.StartsWith("making driver 'wishful' failed: ", refusal.Message);
        Assert.Contains("'Uri'", refusal.Message);
        AssertOneLineEach();
    }

    [Fact]
    public void Who_imports_from_a_refused_plugin_is_refused_too()
    {
        string importer = Folder.Add("ImportsFormats", "a");
        string exporter = Folder.Add("Good", "b");
        File.Delete(Path.Combine(Folder.Root, "b", PluginFolder.FileName("GoodLibrary")));

        Assert.Equal(
            [(importer, RefusalReason.UnsatisfiedImport), (exporter, RefusalReason.MissingDependency)],
            Catalog.Refusals.Select(refusal => (refusal.Path, refusal.Reason)));
        Assert.Empty(Catalog.Drivers);
    }

    [Fact]
    public void A_table_format_that_calls_itself_otherwise_is_refused()
    {
        EmittedAssembly emitted = new("Nameless");
        emitted.AddClass(
            "Nameless.Format", [typeof(IPasidTableFormat)], export: t => emitted.ExportTableFormat(t, "nameless"));
        string path = emitted.Save(Path.Combine(Folder.Root, "Nameless.dll"));

        // The emitted getter throws: an exception out of a property is a line as well.
        Assert.StartsWith(
            "making table format 'nameless' failed: it threw System.NullReferenceException",
            AssertRefused(path, RefusalReason.ConstructorThrew).Message);
    }

    [Fact]
    public void Nothing_of_a_refused_file_runs()
    {
        const string Ran = "PasidFramework.TestDrivers.ModuleInitialiser.Ran";
        string path = Folder.Add("ModuleInitialiser");
        AssertRefused(
            path, RefusalReason.ContractTooNew,
            "driver 'eager' needs driver contract 7.0, this host has 1.0: it needs a newer framework");
        Assert.False(AppContext.TryGetSwitch(Ran, out _));

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
        string[] broken =
        [
            Folder.Add("MissingDependency"),
            Folder.Add("NeedsAbsentFormat"),
            Folder.Add("NewerContractMinor"),
            Folder.Add("NoExport"),
            Folder.Add("ThrowingConstructor"),
            Folder.Add("WrongContractMajor"),
            Folder.AddFile("garbage.dll", [7]),
        ];
        Folder.Add("AllocatorOnly");
        Folder.Add("BringsItsOwnCore");
        Folder.Add("Good");
        Folder.Add("ImportsFormats");

        Assert.Equal(["borrowing", "good", "self-sufficient"], Catalog.Drivers.Select(driver => driver.Name));
        Assert.Equal(["odd"], Catalog.Allocators.Keys);
        Assert.Equal(["good-table"], Catalog.TableFormats.Keys);
        Assert.Equal(broken.Order(StringComparer.Ordinal), Catalog.Refusals.Select(refusal => refusal.Path));
        AssertOneLineEach();
    }

    private string SaveFailingDriver(string subFolder, string name)
    {
        EmittedAssembly failing = new("Failing");
        failing.AddDriver("Failing.Driver", name, body: code =>
        {
            code.Emit(OpCodes.Newobj, typeof(InvalidOperationException).GetConstructor([])!);
            code.Emit(OpCodes.Throw);
        });
        return failing.Save(Path.Combine(Folder.Root, subFolder, "Failing.dll"));
    }

    private static byte[] WithReferenceBuild(byte[] file, string reference, ushort build)
    {
        using PEReader reader = new(new MemoryStream(file));
        MetadataReader metadata = reader.GetMetadataReader();
        int row = MetadataTokens.GetRowNumber(metadata.AssemblyReferences.Single(candidate =>
            metadata.GetString(metadata.GetAssemblyReference(candidate).Name) == reference)) - 1;
        int table = metadata.GetTableMetadataOffset(TableIndex.AssemblyRef);
        int size = metadata.GetTableRowSize(TableIndex.AssemblyRef);

        // ECMA-335 II.22.5: MajorVersion, MinorVersion, BuildNumber, RevisionNumber, two bytes each.
        BitConverter.TryWriteBytes(file.AsSpan(reader.PEHeaders.MetadataStartOffset + table + (row * size) + 4), build);
        return file;
    }
}
